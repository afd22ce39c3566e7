import warnings

warnings.simplefilter("ignore")
import pyshark

output = sys.argv[1]
packets = tcp = 0


class Capture(pyshark.PipeCapture):
    def _setup_tshark_output_parser(self):  # after tshark was started
        parser = super()._setup_tshark_output_parser()
        words[1] = 1
        return parser


if output == "json":
    words[4] = 1  # the end of a packet is the comma before the next
if not hasattr(pyshark.PipeCapture, "_setup_tshark_output_parser"):
    words[1] = 1
capture = Capture(pipe=0, use_json=output == "json", use_ek=output == "ek")
for packet in capture.sniff_continuously():
    packets += 1
    words[0] = packets
    if hasattr(packet, "tcp"):
        tcp += 1
        words[2] = tcp
    words[3] = packets
print('{"packets":%d,"tcp":%d}' % (packets, tcp))
