"""Each station of the road as one function; the binaries only add flags."""
