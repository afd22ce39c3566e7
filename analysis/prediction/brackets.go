package prediction

// Factors of brackets. A margin m makes a bracket [x/m, x*m], so margins multiply, and a bracket's width is its upper end
// over its lower end.
//
// Every number here was written down before any prediction was compared with a measurement, and stays as it is.
const (
	// CalibratedWidth is the widest bracket that is called calibrated. What comes out wider is printed, and said not to be.
	CalibratedWidth = 3.0

	// marginFull is of a cell of a full kit, on either machine or both. Layout of code and stack alone moves a time by up to
	// 10 % between builds and environments that are the same to the user (T. Mytkowicz et al., "Producing wrong data without
	// doing anything obviously wrong!", 2009), and three repeats see only a part of a machine's moods. Where the repeats lie
	// further from their median than this, their distance is the margin.
	marginFull = 1.15
	// marginQuick is of a quick kit: one trial of 50 ms. The kit itself doubts cells from a spread of 25 % on.
	marginQuick = 1.30
	// feedDoubt is how much of the feed's part of a cost may in truth be the parser's, or the other way round: the feed is
	// calibrated against a sink that only counts, and out-of-order processors run feed and parser partly at once.
	feedDoubt = 0.25
	// leastAlone is the least share of a cost that is the parser's: where the feed seems to take more, the rest is noise.
	leastAlone = 0.25

	// marginTraffic is for traffic that is not the kit's: another mix of headers takes other ways through the same parser,
	// with other shares of branches and loads. Size, the main difference, is accounted for apart.
	marginTraffic = 1.15
	// marginOneSize is for a size when both kits have only one: the ratio of the fixed cost is taken for that of the octets.
	marginOneSize = 1.30
	// marginBeyond is for sizes outside of those of the kit.
	marginBeyond = 1.15
	// sameSize is how near a size must be to one of the kit's to count as that.
	sameSize = 0.05

	// marginProgram is for a whole program carried by loops of a few instructions: these stay in the first-level instruction
	// cache and in the predictors' tables, programs do not, and how much that costs differs between processors.
	marginProgram = 1.25
	// marginParser is for a parser that is not in the kit: how far its slow-down may be outside of those of the kit's engines.
	// Theirs span 117 to 3800 instructions a packet, with and without allocation, so another parser is hardly far outside;
	// half as much again is granted.
	marginParser = 1.50

	// marginInterpreted is for a Python program carried by another one's ratio: the span of cycles per instruction of a
	// Cortex-A53 is 2.3 in all (see cores), the other program stands somewhere in it, and sqrt(2.3) = 1.52 is how far another
	// one is from its middle.
	marginInterpreted = 1.50
	// marginRows is for another board of the model that the rows are of: other builds of Python and kernel, another card. The rows
	// are means of five runs on one board; spreads were not published.
	marginRows = 1.10
	// LiveLow and LiveHigh are how many times longer a Python sniffer takes for a packet than its parsing alone: the kernel's
	// part of capture, libpcap, and the loop in Python, in the CPU time of the sniffing process. Measured on an x86-64 VM before
	// this package was written: 1.4 to 1.5 of dpkt under pcapy, 1.5 to 1.8 of Scapy. On a Pi the share was never measured.
	LiveLow  = 1.4
	LiveHigh = 1.8

	// The collector's part of an engine that allocates, as a factor of its instructions, none of which the counts have. With
	// one processor all of its work is the parser's time: 2.4 to 4.1 times the instructions were counted under an emulator
	// (GOGC=100, a heap of next to nothing), with a spread of 10 %. With more, the collector marks on another core and the
	// parser's thread has assists and stops only: from nothing to what the mildest case with one processor was.
	gcOneLow, gcOneHigh   = 2.0, 4.5
	gcManyLow, gcManyHigh = 1.0, 2.5

	// coldLinesHigh is the most lines of 64 octets of a cold frame that a parser waits for: headers of 54 to 74 octets at any
	// offset lie in two or three lines. The least is none: frames follow each other in memory, and a prefetcher may have them.
	// Instructions show nothing of it. What is copied of a cold frame costs up to its octets over the rate of memcpy besides.
	coldLinesHigh = 3
	// copies is from how many instructions per octet on an engine is taken for one that copies frames.
	copies = 0.1

	// marginArch is for the instructions of one architecture over those of another, for a program whose instructions are not
	// known: the range of the engines in the table of instructions (arm64 to amd64: 0.96 to 1.02), so much wider.
	// archLow and archHigh are of an architecture that is not in the table: armv6 and armv7 have up to 1.93 times amd64's.
	marginArch        = 1.1
	archLow, archHigh = 0.5, 2.0
	// marginAnchor is for a program without instruction counts, carried by engines that have them and were measured beside
	// it: as marginInterpreted, on either machine.
	marginAnchor = 1.50
	// The clock of a machine that does not tell it, in Hz.
	clockLow, clockHigh = 2.0e9, 5.0e9
)

// Core is a kind of processor core, with the bracket of its cycles per instruction on code like parsers: integers and
// pointers, branches, hardly any long loops, with data in the first-level caches.
type Core struct {
	Name    string  `json:"name"`
	CPILow  float64 `json:"cpi_low"`
	CPIHigh float64 `json:"cpi_high"`
	Why     string  `json:"why"`
}

// cores are the kinds of core that a bracket can be defended for.
var cores = struct{ arm1176, a53, a72, a76, x86 Core }{
	arm1176: Core{"ARM1176", 1.3, 4.0, "one instruction a cycle at best; a load's value comes two cycles late and a quarter of the " +
		"instructions are loads: 1.3. 16 KiB of instruction cache, and no second level but the GPU's: ten to twenty misses of 100 " +
		"to 200 cycles per 1000 instructions of code that is larger than that, 2 to 3 cycles more: 4"},
	a53: Core{"Cortex-A53", 1.0, 2.3, "in order, two a cycle at best, seldom reached: 1.0 for straight code in cache; 2.3 is what the " +
		"published costs of two Python sniffers on a Pi 3B leave, over instructions counted under an emulator (1.5-1.6 dpkt, 1.9-2.3 Scapy)"},
	a72: Core{"Cortex-A72", 0.6, 1.6, "out of order, three a cycle: half of that at best with a branch in five instructions; branchy code that " +
		"misses its predictors and 48 KiB of instruction cache falls to a half of the A53's worst and more: 1.6"},
	a76: Core{"Cortex-A76", 0.35, 1.1, "out of order, four a cycle, 64 KiB caches and 512 KiB of second level: 0.35 is nearly three a cycle; " +
		"1.1 is as the A72's worst with better predictors and a nearer cache"},
	x86: Core{"x86-64, out of order", 0.25, 1.0, "four to six a cycle: four at best on short code in cache; one a cycle for branchy code on a " +
		"virtual processor that shares its core with another"},
}
