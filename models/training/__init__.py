"""The scripts that train, measure and export the networks. Nothing imports this package."""
