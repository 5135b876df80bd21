"""Case folders: what one holds, how it is played through the whole product, and how that is judged."""
