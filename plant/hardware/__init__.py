"""What a site is made of: accelerators, models that run on them, and the paths data takes between them."""
