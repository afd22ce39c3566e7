// Package vectorio writes, reads and compares files of feature vectors: CSV as pandas' to_csv writes it, and Parquet.
package vectorio
