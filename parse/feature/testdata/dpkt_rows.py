# What dpkt makes of frames. Reads frames, each behind its length in 4 octets, until the end; then writes for each frame
# 12 octets: outcome, EtherType, protocol, TTL, transport (6, 17 or 0), source port, destination port, flags, header
# length, all big-endian. The outcome is R for a row, E where the frame is no IPv4 or ARP, X where a
# decoder raised an error, A where the decoded IPv4 has no fields of a header.
import struct
import sys

import dpkt


def row(buf):
    try:
        eth = dpkt.ethernet.Ethernet(buf)
    except BaseException:
        return b'X', 0, 0, 0, 0, 0, 0, 0, 0
    if eth.type == dpkt.ethernet.ETH_TYPE_ARP:
        return b'R', eth.type, 0, 0, 0, 0, 0, 0, 0
    if eth.type != dpkt.ethernet.ETH_TYPE_IP:
        return b'E', eth.type, 0, 0, 0, 0, 0, 0, 0
    ip = eth.data
    try:
        ip.src, ip.dst
        proto, ttl, inner = ip.p, ip.ttl, ip.data
    except AttributeError:
        return b'A', eth.type, 0, 0, 0, 0, 0, 0, 0
    if type(inner) is dpkt.tcp.TCP:
        return (b'R', eth.type, proto, ttl, 6, inner.sport, inner.dport, inner.flags & 255,
                inner.__hdr_len__ + len(inner.opts))
    if type(inner) is dpkt.udp.UDP:
        return b'R', eth.type, proto, ttl, 17, inner.sport, inner.dport, 0, 8
    return b'R', eth.type, proto, ttl, 0, 0, 0, 0, 0


def main():
    read, write = sys.stdin.buffer, sys.stdout.buffer
    while True:
        head = read.read(4)
        if len(head) < 4:
            break
        buf = read.read(struct.unpack('>I', head)[0])
        write.write(struct.pack('>cHBBBHHBB', *row(buf)))


main()
