"""The site description, for layers that may not import the plant."""

from plant.site import Asset, AssetKind, Change, MaintenanceWindow, Site, Tier, load_site

__all__ = ["Asset", "AssetKind", "Change", "MaintenanceWindow", "Site", "Tier", "load_site"]
