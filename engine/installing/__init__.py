"""Sets the engine environment up: finds a Python, chooses what to install, installs it, proves it, takes it away.

Only the standard library is used: this is what runs before anything else can be there, inside QGIS and from the command
line alike.
"""
