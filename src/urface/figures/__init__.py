"""The paper's figures, and two of our own: arrays in, a matplotlib figure out. No torch here."""
