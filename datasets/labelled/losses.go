package labelled

// Losses returns what was lost, or may be wrong, in the sources of the set that were read to their ends, each with its path before it. It reads
// nothing: before the first pass there are none.
func (s *Set) Losses() []string {
	var all []string
	for i, used := range s.used {
		if sum := s.sources[i].summary; used && sum != nil {
			for _, loss := range sum.Losses {
				all = append(all, sum.Path+": "+loss)
			}
		}
	}
	return all
}
