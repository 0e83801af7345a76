"""A server for gRPC and one for HTTP that refuse whatever is asked of them, and print to which trace it belongs."""

import http.server
import json
import sys
import threading
from concurrent import futures

import grpc

GRPC, HTTP = sys.argv[1:]


def tell(door, asked, traceparent):
    print(json.dumps({"door": door, "asked": asked, "traceparent": traceparent}), flush=True)


class Refusing(grpc.GenericRpcHandler):
    def service(self, call):
        metadata = dict(call.invocation_metadata)
        tell("grpc", call.method, metadata.get("traceparent"))
        return None


class Handler(http.server.BaseHTTPRequestHandler):
    def refuse(self):
        length = int(self.headers.get("content-length") or 0)
        self.rfile.read(length)
        tell("http", self.path, self.headers.get("traceparent"))
        self.send_response(422)
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = refuse

    def log_message(self, *_):
        pass


server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Refusing()])
server.add_insecure_port(f"127.0.0.1:{GRPC}")
server.start()
http.server.ThreadingHTTPServer(("127.0.0.1", int(HTTP)), Handler).serve_forever()
