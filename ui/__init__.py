"""What a person sees: the dock and its parts."""
