"""The names of what pages leave beside them."""

FIGURES = "figures"
"""The folder of a page's figures, one PNG each."""
LOSS_LINES = "loss-lines.png"
"""The loss along lines, beside the page about flatness."""
LOSS_PLANES = "loss-planes.png"
"""The loss on planes."""
