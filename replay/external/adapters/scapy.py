import logging

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.layers.all import TCP
from scapy.utils import PcapReader, RawPcapReader

taken = tcp = done = 0
read_packet = RawPcapReader._read_packet


def count(*args, **kwargs):
    global taken
    raw = read_packet(*args, **kwargs)
    if raw is not None:
        taken += 1
        words[0] = taken
    return raw


RawPcapReader._read_packet = count  # PcapReader calls it by its class's name, then builds the packet
reader = PcapReader(sys.stdin.buffer)
words[1] = 1
for packet in reader:
    if packet.haslayer(TCP):
        tcp += 1
        words[2] = tcp
    done += 1
    words[3] = done
print('{"packets":%d,"tcp":%d}' % (done, tcp))
