"""Many recordings at once, on Ray: the same results as one after the other."""
