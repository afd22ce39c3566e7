package manifest

import (
	"context"
	"time"
)

// ScanFiles describes single captures as Scan does those of a folder, each under its path as given, without class and label. It is for who
// has no manifest of them. Of cfg, Hash, Salvage, Workers and Progress count.
func ScanFiles(ctx context.Context, paths []string, cfg Config) ([]File, error) {
	todo := make([]*candidate, len(paths))
	for i, path := range paths {
		todo[i] = &candidate{path: path, full: path}
	}
	err := each(ctx, cfg, todo, func(r *reader, c *candidate) error {
		c.file = r.file(ctx, c.full, c.path, cfg)
		return ctx.Err()
	}, func() {})
	files := make([]File, len(todo))
	for i, c := range todo {
		files[i] = c.file
	}
	return files, err
}

// Storable is the time of change of a file as a manifest keeps it: UTC, in the years 0 to 9999.
func Storable(t time.Time) time.Time { return storable(t) }
