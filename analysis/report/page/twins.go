package page

import (
	"fmt"
	"io"

	"pcaplab/analysis/report"
)

// WriteTwins passes the files that stand beside a page to write, one after another: NAME.png, NAME.svg and, where it has data,
// NAME.csv of each figure, and NAME.csv of each table that has a name. It ends with the first error.
func WriteTwins(write func(name string, write func(io.Writer) error) error, d *Document) error {
	if err := d.check(); err != nil {
		return err
	}
	for i := range d.Sections {
		title := report.Plain(d.Sections[i].Title)
		for _, f := range d.Sections[i].Figures {
			if err := write(f.Name+".png", func(w io.Writer) error { return report.WritePNG(w, f.Chart) }); err != nil {
				return fmt.Errorf("%s: figure %s: %w", title, f.Name, err)
			}
			if err := write(f.Name+".svg", func(w io.Writer) error { return report.WriteSVG(w, f.Chart) }); err != nil {
				return fmt.Errorf("%s: figure %s: %w", title, f.Name, err)
			}
			if f.Data == nil {
				continue
			}
			if err := write(f.Name+".csv", f.Data.WriteCSV); err != nil {
				return fmt.Errorf("%s: figure %s: %w", title, f.Name, err)
			}
		}
		for _, t := range d.Sections[i].Tables {
			if t.Name == "" {
				continue
			}
			if err := write(t.Name+".csv", t.Table.WriteCSV); err != nil {
				return fmt.Errorf("%s: table %s: %w", title, t.Name, err)
			}
		}
	}
	return nil
}
