#!/usr/bin/env python3
"""A stranger's decoder of delta data: written from DELTA.md alone, before its author had seen any of the Rust. Where it
and a vector part, DELTA.md leaves something unsaid. Standard library only.

  python3 tests/stranger/delta.py BASE DATA LENGTH > IMAGE
"""
import sys

class BadDelta(Exception): pass
def need(ok):
    if not ok: raise BadDelta
M=2**32-1
def signed(v,bits): return v-((v>>bits-1&1)<<bits)
def word(b,i=0,n=4): return int.from_bytes(b[i:i+n],"little")

# --- §2: the coded part
class Coder:
    def __init__(s,b):
        s.b,s.i,s.range,s.code,s.words=b,0,M,0,{}
        for _ in range(4): s.code=s.code<<8|s.next()
    def next(s):
        s.i+=1
        return s.b[s.i-1] if s.i<=len(s.b) else 0
    def normalise(s):
        while s.range<1<<24: s.range,s.code=s.range<<8,(s.code<<8|s.next())&M
    def bit(s,*model):
        w=s.words.get(model,0x8000); o,n=w&0xfff8,w&7; r=min(n+2,7); bound=(s.range>>16)*(o+4)
        if s.code<bound: bit,s.range=0,bound; o+=65528-o>>r
        else: bit,s.range,s.code=1,s.range-bound,s.code-bound; o-=o>>r
        s.words[model]=(o&0xfff8)+min(n+1,7); s.normalise(); return bit
    def plain(s):
        s.range>>=1; bit=int(s.code>=s.range); s.code-=bit*s.range; s.normalise(); return bit
    def tree(s,k,*sort):
        m=1
        for _ in range(k): m=2*m+s.bit("tree",*sort,m)
        return m-(1<<k)
    def number(s,sort):
        e=s.tree(5,sort); b=0
        for _ in range(e): b=2*b+s.plain()
        return (1<<e)+b-1
    def signed(s,sort):
        n=s.number(sort); return -(n+1)//2 if n&1 else n//2

# --- §6: jumps; each is read as (kind, target) or None, and written to a new target
class Thumb:
    def jump(b,at):
        if len(b)<4: return None
        a,c=word(b,0,2),word(b,2,2)
        if a&0xf800!=0xf000 or c&0xd000!=0xd000: return None
        s=a>>10&1; i1,i2=1^(c>>13&1)^s,1^(c>>11&1)^s
        return 2,at+4+signed(s<<24|i1<<23|i2<<22|(a&0x3ff)<<12|(c&0x7ff)<<1,25)&M
    def put(b,at,to):
        d=to-at-4; s=d>>24&1; j1,j2=1^(d>>23&1)^s,1^(d>>22&1)^s
        return (0xf000|s<<10|d>>12&0x3ff).to_bytes(2,"little")+(0xd000|j1<<13|j2<<11|d>>1&0x7ff).to_bytes(2,"little")
class A32:
    def jump(b,at): return (2,at+8+4*signed(word(b,0,3),24)&M) if len(b)>=4 and b[3]==0xeb else None
    def put(b,at,to): return ((to-at-8)>>2&0xffffff).to_bytes(3,"little")+b"\xeb"
class RV32:
    def jump(b,at):
        if len(b)<4: return None
        w=word(b)
        if w&0x7f==0x6f:
            d=(w>>31)<<20|(w>>12&0xff)<<12|(w>>20&1)<<11|(w>>21&0x3ff)<<1
            return 2,at+signed(d,21)&M
        rd=w>>7&31
        if w&0x7f!=0x17 or rd==0 or len(b)<8: return None
        v=word(b,4); op=v&0x7f
        if v>>15&31!=rd or op not in(0x67,0x13,3,0x23) or op==0x13 and v>>12&7: return None
        low=(v>>25)<<5|v>>7&31 if op==0x23 else v>>20
        return 3,at+(w&0xfffff000)+signed(low,12)&M
    def put(b,at,to):
        d=(to-at)&M; w=word(b)
        if w&0x7f==0x6f:
            w=w&0xfff|(d>>20&1)<<31|(d>>12&0xff)<<12|(d>>11&1)<<20|(d>>1&0x3ff)<<21
            return w.to_bytes(4,"little")
        w=w&0xfff|(d+0x800)&0xfffff000; v=word(b,4); low=d&0xfff
        v=v&0x01fff07f|(low>>5)<<25|(low&31)<<7 if v&0x7f==0x23 else v&0xfffff|low<<20
        return w.to_bytes(4,"little")+v.to_bytes(4,"little")

# --- §7
class Memory:
    def __init__(s): s.places=[(0,0)]*64
    def place(s,key): return (key*0x9e3779b1&M)>>26
    def get(s,key):
        k,v=s.places[s.place(key)]; return v if k==key else None
    def put(s,key,value): s.places[s.place(key)]=key,value
TARGET=0x5a5a0001

class Image:
    def __init__(s,base,data,length):
        need(data); s.base,s.out,s.length=base,bytearray(),length
        kind=data[0]&0x7f; need(kind<4); s.isa=[None,Thumb,A32,RV32][kind]; s.addresses=None; at=1
        if data[0]&0x80:
            need(len(data)>=9); s.addresses=word(data,1),word(data,5); at=9
        s.c=Coder(data[at:]); s.memory=Memory(); s.any=0; s.kinds=[0]*8; s.last=[0]*4; s.end=0
        s.table()
        s.items()
        need(s.c.i>=len(s.c.b))
    def table(s):                       # §3
        s.covers=[]; at=move=0
        n=s.c.number("count"); need(n<=48)
        for _ in range(n):
            at+=s.c.number("gap"); size=s.c.number("cover")+1; move=move+s.c.signed("shift")&M
            old=at-move&M; need(at+size<=s.length and old+size<=len(s.base))
            s.covers.append((at,old,size,move)); at+=size
    def items(s):                       # §4
        covers=list(s.covers)
        while len(s.out)<s.length:
            here=len(s.out); until=covers[0][0] if covers else s.length
            if covers and until==here:
                _,old,size,_=covers.pop(0); s.copy(old,size)
            elif s.c.bit("item"):
                n=s.c.number("literal")+1; need(here+n<=until)
                for _ in range(n): s.out.append(s.c.tree(8,"byte"))
            else:
                old=s.end+s.c.signed("seek")&M; n=s.c.number("copy")+1
                need(here+n<=until and old+n<=len(s.base)); s.copy(old,n)
    def copy(s,old,left):
        s.under_way=old,left,len(s.out)-old&M
        while left:
            n=s.unit(old,left); old+=n; left-=n
        s.end=old
    def moves(s,t):
        old,size,move=s.under_way
        if old<=t<old+size: return t+move&M
        best=None
        for _,old,size,move in s.covers:
            d=max(old-t,t-(old+size-1),0)
            if best is None or d<best[0]: best=d,move
        return t+(best[1] if best else 0)&M
    def jump(s,b,at): return s.isa.jump(b,at) if s.isa and not(s.isa is A32 and at&3) else None
    def predict(s,old,left):            # §5: kind, prediction, key
        b=s.base[old:old+left]; new=len(s.out); aligned=not(old&3 or new&3); half=(1,b[:2],None)
        if left<2 or old&1 or new&1: return 0,b[:1],None
        j=None if s.isa is A32 and not aligned else s.jump(b,old)
        if j:
            kind,target=j; key=target^TARGET; to=s.memory.get(key)
            if to is None: to=s.moves(target)
            return kind,s.isa.put(b[:4 if kind==2 else 8],new,to),key
        w=word(b)
        if aligned and left>=4:
            if s.memory.get(w) is not None: return 4,s.memory.get(w).to_bytes(4,"little"),w
            if s.addresses:
                off=w-s.addresses[0]&M
                if off<len(s.base): return 5,(s.moves(off&~1)+s.addresses[1]&M|off&1).to_bytes(4,"little"),w
        if s.isa is Thumb and aligned and left>=6 and s.jump(b[2:],old+2): return half
        if s.isa is RV32 and w&3!=3: return half
        if s.isa is RV32 and not aligned and left>=4: return 7,b[:4],None
        if aligned and left>=4: return 6,b[:4],w
        if s.isa in(Thumb,RV32): return half
        return 0,b[:1],None
    def unit(s,old,left):
        kind,guess,key=s.predict(old,left); new=len(s.out); size=len(guess)
        missed=s.c.bit("miss",kind,s.any&3,s.kinds[kind]&3)
        s.any=s.any<<1|missed; s.kinds[kind]=s.kinds[kind]<<1|missed
        unit=s.missed(guess,new) if missed else guess
        s.out+=unit
        if key is not None:
            if kind in(2,3):
                j=s.jump(unit,new)
                if j and j[0]==kind: s.memory.put(key,j[1])
            else: s.memory.put(key,word(unit))
        return size
    def missed(s,guess,new):
        out=bytearray(); before=0; size=len(guess)
        for place,g in enumerate(guess):
            differs=size==1 or s.c.bit("differs",size,place,before&3); before=before<<1|differs
            if differs:
                lane=new+place&3
                if not s.c.bit("again",lane): s.last[lane]=s.c.tree(8,"difference",place&1)
                g=g+s.last[lane]&255
            out.append(g)
        return bytes(out)

def decode(base,data,length): return bytes(Image(base,data,length).out)
if __name__=="__main__":
    base,data=(open(f,"rb").read() for f in sys.argv[1:3])
    sys.stdout.buffer.write(decode(base,data,int(sys.argv[3])))
