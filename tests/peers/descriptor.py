"""Prints the descriptors of the official SDK's a2a.proto and of all its imports: a FileDescriptorSet in hex."""

from a2a.types import a2a_pb2
from google.protobuf import descriptor_pb2

files = descriptor_pb2.FileDescriptorSet()
seen = set()


def add(file):
    if file.name in seen:
        return
    seen.add(file.name)
    for dependency in file.dependencies:
        add(dependency)
    file.CopyToProto(files.file.add())


add(a2a_pb2.DESCRIPTOR)
print(files.SerializeToString().hex())
