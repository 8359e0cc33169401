"""What the node publishes: one file for each output, and `Outputs`, all of one camera's."""
