"""Learning the network's weights from clips with masks."""
