"""Serve S3 by moto on a free port of loopback until standard input ends. Not a test module."""

import sys

from moto.server import ThreadedMotoServer

if __name__ == "__main__":
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    print("{}:{}".format(*server.get_host_and_port()), flush=True)
    sys.stdin.read()
    server.stop()
