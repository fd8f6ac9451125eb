"""The recipe of the weights that ship: real clips degraded by the real base layer (`data`), the network, its training (`loop`)."""
