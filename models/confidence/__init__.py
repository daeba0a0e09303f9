"""The network that tells how far the result may be from the truth, with what it was calibrated to."""
