"""Deep Image Prior: as published (``reference``) and from an educated start (``educated``)."""
