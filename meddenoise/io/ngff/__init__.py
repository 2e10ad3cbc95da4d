"""OME-NGFF images in zarr stores: chunked, compressed, read and written plane by plane."""
