"""Heat from the die to the air outside: cold plates, loops, CDUs, chillers, dry coolers and air-cooled rooms."""
