import dpkt

packets = tcp = 0
reader = dpkt.pcap.Reader(sys.stdin.buffer)
words[1] = 1
for _, frame in reader:
    packets += 1
    words[0] = packets
    try:
        eth = dpkt.ethernet.Ethernet(frame)
        if isinstance(eth.data, dpkt.ip.IP) and eth.data.p == 6:
            tcp += 1
            words[2] = tcp
    except Exception:  # dpkt raises UnpackError and others on malformed frames
        pass
    words[3] = packets
print('{"packets":%d,"tcp":%d}' % (packets, tcp))
