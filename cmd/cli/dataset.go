package cli

import "github.com/spf13/cobra"

func (a *app) datasetCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "dataset",
		Short: "CIC-IoT-2023: what is in it, fetch, scan, mix, and make it small",
		Long: `Knows the dataset CIC-IoT-2023 (34 classes, 309 captures, 548 GB) by heart: what each class is, how its files are named, how many packets
they have. Fetches it, scans and verifies a copy, makes labelled mixtures of it or of other captures, and makes a small one of the same
shape from a seed, for tests, laptops and boards that cannot hold it.`,
		Example: `  ` + a.Name + ` dataset list
  ` + a.Name + ` dataset synth --packets 10000 -o cic-small
  ` + a.Name + ` dataset scan cic-small`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("no command %q (see '%s -h')", args[0], c.CommandPath())
			}
			return c.Help()
		},
	}
	c.AddCommand(a.datasetListCommand(), a.datasetShowCommand(), a.datasetFetchCommand(), a.datasetScanCommand(), a.datasetVerifyCommand(),
		a.datasetMixCommand(), a.datasetSampleCommand(), a.datasetSynthCommand())
	return c
}
