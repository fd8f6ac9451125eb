"""What the decoder will show of the packets so far, measured against the source."""

from array import array

Errors = tuple["array[float]", "array[float]", "array[float]"]  # of Y, Cb and Cr, frame by frame
MAX_VIEWS = 8  # frames that the decoder's view may lag behind the coding
