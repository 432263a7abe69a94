"""python -m lab archive: many recordings, on every core or on a Ray cluster, into one dataset of Parquet files."""
