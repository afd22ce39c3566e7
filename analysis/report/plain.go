package report

// Plain returns a text from outside as one line of what can be read: line ends and tabs become spaces, other controls, marks
// that turn the direction of writing, and what is no character become U+FFFD. It does not escape for any markup.
func Plain(s string) string { return clean(s) }
