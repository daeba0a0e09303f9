"""The networks of Deep Image Prior: the published one and the one with an educated start."""
