"""The picture, in pygame and without a graphics card: layers that are drawn anew only when they change."""
