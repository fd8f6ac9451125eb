"""Colour for grey footage from a few coloured frames (`tinct colourise`), and the frames worth colouring (`tinct keyframes`)."""

from tinct.colouring.colourist import ColouriseReport, Laid, colourise, write_keyframes

__all__ = ["ColouriseReport", "Laid", "colourise", "write_keyframes"]
