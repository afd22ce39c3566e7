//go:build !man

package cli

import "github.com/spf13/cobra"

func (a *app) buildCommands() []*cobra.Command { return nil }
