"""The published tables, GEO series GSE114002: downloaded (`download`), and brought to our columns (`prepare`)."""
