//go:build man

package cli

import (
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// buildCommands are those that only building a release needs. In every binary they would cost a megabyte of memory.
func (a *app) buildCommands() []*cobra.Command { return []*cobra.Command{a.manCommand()} }

func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write man pages into a folder",
		Hidden: true,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("want one folder")
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			return doc.GenManTree(c.Root(), &doc.GenManHeader{Title: strings.ToUpper(a.Name), Section: "1"}, args[0])
		},
	}
}
