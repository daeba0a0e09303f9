"""Networks, their trained weights and, in ``training``, the scripts that train them."""
