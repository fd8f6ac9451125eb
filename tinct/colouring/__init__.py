"""Colour for grey footage from a few coloured frames, and the frames worth colouring."""

from tinct.colouring.api import colourise, write_keyframes
from tinct.colouring.report import ColouriseReport, RegisteredReference

__all__ = ["ColouriseReport", "RegisteredReference", "colourise", "write_keyframes"]
