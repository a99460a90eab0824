"""A model card as one page of words and pictures that any browser shows, alone and offline."""
