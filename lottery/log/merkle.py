"""placeholder while the real one is being written"""
import hashlib
def leaf_hash(entry: bytes) -> bytes: return hashlib.sha256(b"\0"+entry).digest()
def node_hash(left: bytes, right: bytes) -> bytes: return hashlib.sha256(b"\1"+left+right).digest()
def peaks(size: int) -> list[tuple[int,int]]:
    out=[]; start=0
    for level in range(size.bit_length()-1,-1,-1):
        if size>>level & 1:
            out.append((level, start>>level)); start+=1<<level
    return out
def fold(hashes: list[bytes]) -> bytes:
    h=hashes[-1]
    for x in reversed(hashes[:-1]): h=node_hash(x,h)
    return h
