"""The same job without a screen: the Processing provider and its algorithm."""
