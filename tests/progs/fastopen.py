#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""fastopen.py - both ends of TCP Fast Open, with any TCP

fastopen.py server PORT [KEY]	reads each connection to its end, answers; until it is killed
fastopen.py client HOST PORT OCTETS [connect|nonblock]

Each says what TCP_INFO knows: data in the SYN was taken, yes or no.  If it was
not, and something was sent again, the client says so on standard error: a SYN
that is not answered within a second comes again without its data.
"""
import errno
import socket
import struct
import sys

TCP_FASTOPEN, TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_KEY = 23, 30, 33
SYN_DATA = 32
TCP = socket.IPPROTO_TCP


def syn_data(s):
    info = s.getsockopt(TCP, socket.TCP_INFO, 280)
    return 'syn_data' if info[5] & SYN_DATA else 'plain'


def total_retrans(s):
    return struct.unpack_from('I', s.getsockopt(TCP, socket.TCP_INFO, 280), 100)[0]


def read_all(s):
    got = b''
    while True:
        part = s.recv(65536)
        if not part:
            return got
        got += part


def pattern(n):
    return bytes(i % 251 for i in range(n))


def server(port, key=None):
    l = socket.socket(socket.AF_INET6)
    l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    l.bind(('::', int(port)))
    l.setsockopt(TCP, TCP_FASTOPEN, 16)
    if key:
        l.setsockopt(TCP, TCP_FASTOPEN_KEY, bytes.fromhex(key))
    l.listen(16)
    print('ready', flush=True)
    while True:
        s, _ = l.accept()
        how = syn_data(s)
        got = read_all(s)
        good = 'good' if got == pattern(len(got)) else 'BAD'
        s.sendall(f'{len(got)} {good} {how}'.encode())
        s.close()


def client(host, port, n, how='sendto'):
    s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET)
    data = pattern(int(n))
    peer = (host, int(port))
    if how == 'connect':
        s.setsockopt(TCP, TCP_FASTOPEN_CONNECT, 1)
        s.bind(('', 0))
        s.connect(peer)
        try:
            s.listen()
            print('BAD: it listens')
        except OSError as e:
            assert e.errno == errno.EINVAL, e
        sent = s.send(data)
    elif how == 'nonblock':
        s.setblocking(False)
        try:
            sent = s.sendto(data, socket.MSG_FASTOPEN, peer)
        except BlockingIOError:
            sent = 0
        s.setblocking(True)
    else:
        sent = s.sendto(data, socket.MSG_FASTOPEN, peer)
    s.sendall(data[sent:])
    s.shutdown(socket.SHUT_WR)
    answer = read_all(s).decode()
    how = syn_data(s)
    if how == 'plain' and total_retrans(s):
        print('sent again', file=sys.stderr)
    print(f'{how}; {answer}')


if __name__ == '__main__':
    {'server': server, 'client': client}[sys.argv[1]](*sys.argv[2:])
