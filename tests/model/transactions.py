#!/usr/bin/env python3
"""Randomised model of the cross-partition transactions (design: shared/design/transactions.md), as the runtime carries them out.

Partitions are durable ordered logs with one owner each (log-protocol.md is taken as given); an owner crash loses what is
volatile (running transactions) and folds the log again. Messages are delayed, lost, doubled. Checks strict serializability with the
home's commit record as the serialization point, single reads and read-only transactions at some instant of their interval; and that what a client was told is so.
Run: transactions.py [seeds] [first] [bug]; bug in: noreadlock early noversion dirtyread commitdoubt volatileprepare nocheck forget noattempt doubleprepare noid nosettle
  nofloor latefloor guessabort guesscommit unstaged earlyabort earlytell pollertell earlyfinish

This copy differs from the design's in seven things. The first makes a transaction over several partitions take one answer of the log instead of two, the others make the runtime simpler:
- Home prepares, too, at the same time as the others, and says in its entry who they are, what the answer is, and which try it was: it *leads*. When all are prepared, home among them, the transaction is
  committed, and the client is told. The decision is written after that, and finished when it is there (earlyfinish: others are told before). The log of home may be read by another owner before, which finds what leads and
  does not know: it asks all others whether they have prepared (guessabort, guesscommit: it does not; unstaged: home does not wait for its own entry). Whoever has not, never will in that attempt, and has
  written that down before it says so: no attempt of an earlier owner of that home is prepared any more (nofloor: it does not remember). Nor does one who has prepared prepare a later attempt of that
  owner instead, whose message is late (latefloor: it writes down nothing where it has prepared). A home that gives up because somebody does not answer says so only when that is
  in the log (earlyabort: to its client before; earlytell: to the others before, when it was deposed and does not know it), for all may be prepared; where somebody refused, no owner will ever find all prepared. Nor does an owner that
  asks the others tell them before that it gives up (pollertell: one that was deposed does): who has not prepared may have finished. An owner that was deposed and does not know it goes on to count answers, and tells its client.
- A participant keeps no list of what it has finished. So a prepare is sent once per attempt, and never again: home gives the attempt up if nobody answers. (doubleprepare: if
  one may arrive twice, the second one finds nothing, prepares, asks home, and writes again what was finished.)
- Confirmations are not written down. A new owner of home tells all participants again, and who has finished already says so.
- A read of a key that a transaction will write whose home has no entry in the log yet does not wait. (homewait: it waits; holds as well.)
- A client is in the model: it asks home again, with the same request id, when nobody answers (if it has none, it never knows); runs the function again when home says that it did not happen; and gives up after
  some runs. The log keeps the answer by the request id (rule 10), so what comes again happens once (noid: it does not).
- Whoever is asked may refuse for any other reason as well: that is what claims do, by which one that has lost often wins. They are in no log and promise nothing, so nothing else of them is
  in the model.
- If home was asked and nobody knows what became of it, giving up is a record too (settle), so that what is still on its way never happens (nosettle: it does).
"""
import random, sys
P=3; KEYS=[(p,k) for p in range(P) for k in "xy"]
class Part:
    def __init__(s,w,i): s.w=w; s.i=i; s.log=[]; s.run={}; s.epoch=0; s.inc=0; s.polls={}; s.dropped=set(); s.gone=[]; s.fold()
    def fold(s):
        s.kv={}; s.ver={}; s.prep={}; s.dec={}; s.att={}; s.known={}; s.floor={}
        for e in s.log: s.apply(e)
    def apply(s,e):
        t=e[1]
        if e[0]=="prep": s.prep[t]=e[2]
        elif e[0]=="commit":      # home: decision, own writes, who must confirm; the answer to the request
            if e[3]: s.dec[t]=set(e[3]); s.att[t]=e[4]
            s.known[t]="ok"; s.prep.pop(t,None); s.write(e[2])
        elif e[0]=="settle": s.known[t]="abort"
        elif e[0]=="finish": s.write(s.prep.pop(t)["w"] if t in s.prep else {})
        elif e[0]=="abort": s.prep.pop(t,None)
        elif e[0]=="floor": s.floor[t]=max(e[2],s.floor.get(t,0))
        elif e[0]=="forget": s.dec.pop(t,None)
    def write(s,ws):
        for k,v in ws.items(): s.kv[k]=v; s.ver[k]=s.ver.get(k,0)+1
    def append(s,e):
        s.flush(); s.log.append(e); s.apply(e)
    def flush(s):                         # what was given up is on its way, and comes before all that is written later
        gone,s.gone=s.gone,[]
        for t,att in gone:
            if t in s.prep and s.prep[t]["att"]==att: s.append(("abort",t))
    def crash(s):
        # whoever was the owner may be there still, and hear answers; it can write nothing
        s.w.zombies+=[(s.i,t,r) for t,r in s.run.items() if s.w.r.random()<.5 and not r.get("done")]
        if BUG=="pollertell": s.w.pollers+=[(s.i,t,s.prep[t]["att"],s.prep[t]["lead"]["try"]) for t in s.polls if t in s.prep]
        s.epoch=s.w.att; s.inc+=1; s.polls={}; s.dropped=set(); s.gone=[]
        if BUG=="volatileprepare": s.log=[e for e in s.log if not(e[0]=="prep" and e[1] in s.prep)]
        s.run={}; s.fold()
    def held(s): return {t:p for t,p in s.prep.items() if (t,p["att"]) not in s.dropped}
    def wlocked(s,k): return any(k in p["w"] for p in s.held().values()) or (BUG=="homewait" and any(k in r["mine"]["w"] and r.get("locked") for r in s.run.values()))
    def locked(s,k,excl):
        held=s.held()
        for p in list(held.values())+[r["mine"] for t,r in s.run.items() if r.get("locked") and t not in held]:
            if k in p["w"] or (excl and k in p["r"] and BUG!="noreadlock"): return True
        return False
    def can(s,part):
        if s.w.r.random()<.03: return False
        for k,v in part["r"].items():
            if (s.ver.get(k,0)!=v and BUG!="noversion") or s.locked(k,False): return False
        return not any(s.locked(k,True) for k in part["w"])
class World:
    def __init__(w,seed): w.r=random.Random(seed); w.t=0; w.parts=[Part(w,i) for i in range(P)]; w.net=[]; w.txs=[]; w.fails=[]; w.n=0; w.att=0; w.aborts=0; w.byid={}; w.zombies=[]; w.pollers=[]; w.sure=set(); w.pc=w.r.choice([.006,.02,.05]); w.pd=w.r.choice([.05,.3]); w.pl=w.r.choice([.02,.2])
    def send(w,dst,msg):
        r=w.r
        for _ in range(2 if r.random()<w.pd and (msg[0] not in ("prepare","begin","answer","staged","write","drop") or BUG=="doubleprepare" and msg[0]=="prepare") else 1):
            if r.random()>w.pl or msg[0] in ("staged","write","drop"): w.net.append((w.t+r.randrange(1,8 if r.random()<.9 else 60),dst,msg))
def committed(w,tx):
    w.truth=dict(w.truth); 
    for k,v in tx["reads"].items():
        if w.truth.get(k,())!=v: w.fails.append(f"tx {tx['id']} read {k}={v}, at its commit it was {w.truth.get(k,())}")
    for k,v in tx["writes"].items(): w.truth[k]=v
    tx["commits"]=tx.get("commits",0)+1
    if tx.get("told")=="abort": w.fails.append(f"tx {tx['id']} committed though told that it did not")
    if tx["commits"]>1: w.fails.append(f"tx {tx['id']} committed twice")
def commit(w,full,tx,t,att):
    if (t,att) in w.sure: return          # another owner was sure of it as well
    w.sure.add((t,att)); full["reads"],full["writes"]=tx["reads"],tx["writes"]; committed(w,full)
def need(w,run,h): return [p for p in run["try"]["parts"] if p!=h]
def all_yes(w,run,h):
    ok=len(run["yes"])>=len(need(w,run,h)) if BUG!="early" else len(run["yes"])>=max(0,len(need(w,run,h))-1)
    return ok and (run["staged"] or BUG=="unstaged")
def step_home(w,h,t):
    run=h.run[t]
    if run.get("done"): return
    others=need(w,run,h.i)
    if not others:
        del h.run[t]; h.append(("commit",t,run["mine"]["w"],others,run["att"])); commit(w,run["tx"],run["try"],t,run["att"]); w.send("client",("answer",t,run["n"],"ok")); return
    if not all_yes(w,run,h.i): return
    run["done"]=True; commit(w,run["tx"],run["try"],t,run["att"]); w.send("client",("answer",t,run["n"],"ok"))
    w.send(h.i,("write",t,run["att"],h.inc))       # the decision goes with what comes next
    if BUG=="earlyfinish":
        for p in others: w.send(p,("finish",t,h.i,run["att"]))
def write(w,h,t):                                   # the decision, once all are known to be prepared
    run=h.run.pop(t,None); lead=h.prep.get(t)
    if run is None or (lead is None and BUG!="unstaged"): return
    others=need(w,run,h.i); h.append(("commit",t,run["mine"]["w"],others,run["att"]))
    for p in others: w.send(p,("finish",t,h.i,run["att"]))
def resolve(w,h,t,lead):                            # another owner has read what leads: what became of it?
    poll=h.polls.setdefault(t,{"yes":set(),"no":False}); run={"tx":w.byid[t],"try":lead["lead"]["try"],"att":lead["att"],"mine":lead,"n":lead["lead"]["n"]}
    others=need(w,run,h.i)
    if BUG=="guessabort": poll["no"]=True
    if BUG=="guesscommit": poll["yes"]=set(others)
    if poll["no"]:
        del h.polls[t]; h.append(("abort",t))
        for p in others: w.send(p,("abort",t,lead["att"]))
    elif poll["yes"]>=set(others):
        del h.polls[t]; commit(w,run["tx"],run["try"],t,lead["att"]); h.append(("commit",t,lead["w"],others,lead["att"]))
        for p in others: w.send(p,("finish",t,h.i,lead["att"]))
    else:
        for p in others:
            if p not in poll["yes"] and w.r.random()<.1: w.send(p,("poll",t,h.i,lead["att"],h.epoch))
def abort(w,h,t,refused=False):
    run=h.run.pop(t); w.aborts+=1
    # where somebody refused, nobody will find all prepared; else it has to be in the log first
    if refused: h.dropped.add((t,run["att"])); w.send(h.i,("drop",t,run["att"],h.inc))
    elif t in h.prep:
        h.dropped.add((t,run["att"])); h.gone.append((t,run["att"])); w.net.append((w.t+w.r.randrange(1,60),h.i,("drop",t,run["att"],h.inc,run)))
        if BUG!="earlyabort": return
    tell(w,h,t,run)
def tell(w,h,t,run):
    w.send("client",("answer",t,run["n"],"abort"))
    for p in run["try"]["parts"]:
        if p!=h.i: w.send(p,("abort",t,run["att"]))
def zombie(w,h,t,att,yes):
    for z in list(w.zombies):
        if z[0]!=h or z[1]!=t or z[2]["att"]!=att: continue
        if yes is None: w.zombies.remove(z); continue
        z[2]["yes"].add(yes)
        if all_yes(w,z[2],h): w.zombies.remove(z); commit(w,z[2]["tx"],z[2]["try"],t,att); w.send("client",("answer",t,z[2]["n"],"ok"))
def deliver(w,dst,m):
    if dst=="client": answer(w,m); return
    p=w.parts[dst]; k=m[0]; t=m[1] if len(m)>1 else None
    if k=="begin":
        tx=m[2]; n=m[3]; one=m[4]
        if t in p.known and BUG!="noid" and not tx["anon"]: w.send("client",("answer",t,n,p.known[t])); return
        if t in p.run:
            if p.run[t]["n"]//1000==n//1000: p.run[t]["n"]=max(n,p.run[t]["n"])      # whoever asks again is told as well
            if p.run[t]["n"]>=n or p.run[t].get("done"): return
            abort(w,p,t)
        if "lead" in p.held().get(t,{}): return            # nobody knows yet; whoever asks again is told
        if one is None:
            p.append(("settle",t)); w.send("client",("answer",t,n,"abort")); return
        w.att+=1; p.run[t]={"tx":tx,"try":one,"n":n,"att":w.att,"yes":set(),"at":w.t,"staged":False,"mine":one["parts"].get(dst,{"r":{},"w":{}})}
        if dst in one["parts"] and not p.can(one["parts"][dst]): abort(w,p,t,True); return
        p.run[t]["locked"]=True
        for q in one["parts"]:
            if q!=dst: w.send(q,("prepare",t,one["parts"][q],dst,p.run[t]["att"]))
        if p.gone and w.r.random()<.3 and w.t<850: p.crash(); return      # the attempt before is on its way out, and stays
        if need(w,p.run[t],dst): w.send(dst,("staged",t,p.run[t],p.inc))
        step_home(w,p,t)
    elif k=="staged":                                   # home's own entry lands, unless it has crashed before
        run=m[2]
        if m[3]!=p.inc: return
        alive=t in p.run and p.run[t] is run
        if not alive and (t in p.run or t in p.known and not run["tx"]["anon"]): return
        p.append(("prep",t,{**run["mine"],"home":dst,"att":run["att"],"lead":{"try":run["try"],"n":run["n"]}}))
        if alive: run["staged"]=True; step_home(w,p,t)
        else: p.dropped.add((t,run["att"])); w.send(dst,("drop",t,run["att"],p.inc))
    elif k=="write":
        if m[3]==p.inc and t in p.run and p.run[t]["att"]==m[2]: write(w,p,t)
    elif k=="drop":
        if m[3]!=p.inc: return
        if len(m)>4: p.flush(); tell(w,p,t,m[4])
        elif t in p.prep and "lead" in p.prep[t] and p.prep[t]["att"]==m[2]: p.append(("abort",t))
    elif k=="poll":
        att=m[3]; there=t in p.prep and p.prep[t]["att"]==att
        if BUG!="nofloor" and not (BUG=="latefloor" and there) and p.floor.get(m[2],0)<m[4]: p.append(("floor",m[2],m[4]))
        w.send(m[2],("polled",t,dst,att,there))
    elif k=="polled":
        for o in [o for o in w.pollers if o[:3]==(dst,t,m[3]) and not m[4]]:
            w.pollers.remove(o)
            for q in o[3]["parts"]:
                if q!=dst: w.send(q,("abort",t,m[3]))
        if t in p.polls and t in p.prep and p.prep[t]["att"]==m[3]:
            if m[4]: p.polls[t]["yes"].add(m[2])
            else: p.polls[t]["no"]=True
    elif k=="prepare":
        att=m[4]; old=p.prep.get(t)
        if old and old["att"]==att: w.send(m[3],("yes",t,dst,att)); return
        if old and old["att"]>att: return
        if att<=p.floor.get(m[3],0): w.send(m[3],("no",t,att)); return
        if old: p.append(("abort",t))          # a newer attempt of the same home: the older one is dead
        if p.can(m[2]): p.append(("prep",t,{**m[2],"home":m[3],"att":att})); w.send(m[3],("yes",t,dst,att))
        else: w.send(m[3],("no",t,att))
    elif k=="yes":
        zombie(w,dst,t,m[3],m[2])
        if t in p.run and (p.run[t]["att"]==m[3] or BUG=="noattempt"): p.run[t]["yes"].add(m[2]); step_home(w,p,t)
    elif k=="no":
        zombie(w,dst,t,m[2],None)
        if t in p.run and (p.run[t]["att"]==m[2] or BUG=="noattempt") and not p.run[t].get("done"): abort(w,p,t,True)
    elif k=="abort":
        # only an answer from home, or home's own abort, may release
        if t in p.prep and (p.prep[t]["att"]==m[2] or BUG=="noattempt"): p.append(("abort",t))
    elif k=="finish":
        if t in p.prep and (p.prep[t]["att"]==m[3] or BUG=="noattempt"): p.append(("finish",t))
        w.send(m[2],("confirm",t,dst,m[3]))
    elif k=="confirm":
        if t in p.dec and p.att[t]==m[3]:
            p.dec[t].discard(m[2])
            if not p.dec[t] or BUG=="forget": p.append(("forget",t))
    elif k=="ask":
        att=m[3]
        if t in p.run and p.run[t]["att"]==att and p.run[t].get("done"): write(w,p,t)
        if t in p.dec and p.att[t]==att: w.send(m[2],("finish",t,dst,att))
        elif t in p.run and p.run[t]["att"]==att or (t,att) in p.gone: pass
        elif t in p.prep and "lead" in p.prep[t] and p.prep[t]["att"]==att and (t,att) not in p.dropped: pass
        else: w.send(m[2],("finish",t,dst,att) if BUG=="commitdoubt" else ("abort",t,att))
def answer(w,m):
    tx=w.byid[m[1]]
    if tx.get("told") or (tx["n"]*1000+tx["call"]!=m[2] and m[3]!="ok") or not tx["asked"]: return
    if m[3]=="ok": tx["told"]="ok"; return
    if m[3]=="abort" and tx["settling"]: tx["told"]="abort"; return
    tx["asked"]=None                     # definite: this try did not happen
    if tx["n"]<4: again(w,tx)
    elif tx["unknown"] and BUG!="nosettle": tx["settling"]=True; ask(w,tx)
    else: tx["told"]="abort"
def again(w,tx):
    tx["n"]+=1; tx["todo"]=list(tx["keys"]); tx["one"]=dict(reads={},vers={},writes={},parts={})
def ask(w,tx):
    tx["asked"]=w.t; tx["call"]+=1
    w.send(tx["home"],("begin",tx["id"],tx,tx["n"]*1000+tx["call"],None if tx["settling"] else tx["one"]))
def run(seed):
    w=World(seed); r=w.r; w.truth={}; truths=[(0,{})]; ro=[]; rd=[]
    for t in range(1000):
        w.t=t; before=w.truth
        due=[x for x in w.net if x[0]<=t]; w.net=[x for x in w.net if x[0]>t]; r.shuffle(due)
        for _,d,m in due: deliver(w,d,m)
        if BUG=="earlytell":
            for z in [z for z in w.zombies if t-z[2]["at"]>80]:
                w.zombies.remove(z)
                for q in need(w,z[2],z[0]): w.send(q,("abort",z[1],z[2]["att"]))
        for p in w.parts:
            if r.random()<w.pc and t<850: p.crash()
            for x in list(p.run):
                if t-p.run[x]["at"]>80 and not p.run[x].get("done"): abort(w,p,x)
            for x,e in list(p.prep.items()):
                if "lead" in e:
                    if x not in p.run and (x,e["att"]) not in p.dropped: resolve(w,p,x,e)
                elif r.random()<.05: w.send(e["home"],("ask",x,p.i,e["att"]))
            for x,rest in p.dec.items():
                for q in rest:
                    if r.random()<.05: w.send(q,("finish",x,p.i,p.att[x]))
        if t<700 and r.random()<.25:   # run phase spread over time: read one key after the other
            w.n+=1; keys=r.sample(KEYS,r.choice([1,2,2,3]))
            tx=dict(id=w.n,keys=keys,n=0,start=t,home=r.randrange(P),asked=None,unknown=False,settling=False,blind=r.random()<.3,anon=r.random()<.3,patience=r.choice([30,100]),call=0,seed=r.random()); w.txs.append(tx); w.byid[w.n]=tx; again(w,tx)
        for tx in w.txs:
            if tx.get("told"): continue
            one=tx["one"]
            if tx["asked"] is not None:
                if t-tx["asked"]>tx["patience"] and t<800:
                    if tx["anon"]: tx["told"]="unknown"        # it has no id to ask again with
                    else: tx["unknown"]=True; ask(w,tx)
                continue
            if tx["todo"] and r.random()<.5:
                k=tx["todo"][0]; p=w.parts[k[0]]
                if tx["blind"]: tx["todo"].pop(0); one["writes"][k]=(-tx["id"],tx["n"])
                else:
                    if p.wlocked(k) and BUG!="dirtyread": continue
                    tx["todo"].pop(0); one["reads"][k]=p.kv.get(k,()); one["vers"][k]=p.ver.get(k,0)
                if not tx["todo"]:
                    if not tx["blind"]:
                        for k in one["reads"]:
                            if r.random()<.6: one["writes"][k]=one["reads"][k]+(tx["id"],)
                        if not one["writes"]: one["writes"][next(iter(one["reads"]))]=one["reads"][next(iter(one["reads"]))]+(tx["id"],)
                    for k in tx["keys"]:
                        part=one["parts"].setdefault(k[0],{"r":{},"w":{}})
                        if k in one["vers"]: part["r"][k]=one["vers"][k]
                        if k in one["writes"]: part["w"][k]=one["writes"][k]
                    ask(w,tx)
        # single reads
        if r.random()<.3: rd.append([t,r.choice(KEYS)])
        for x in list(rd):
            p=w.parts[x[1][0]]
            if r.random()<.5 and (BUG=="dirtyread" or not p.wlocked(x[1])):
                v=p.kv.get(x[1],()); rd.remove(x)
                if not any(s.get(x[1],())==v for s in window(truths,x[0],t,w.truth)): w.fails.append(f"stale read {x} {v}")
        # read-only transactions: collect, then check
        if r.random()<.15: ro.append(dict(start=t,todo=list(KEYS) if r.random()<.5 else r.sample(KEYS,3),v={},n={},chk=None))
        for o in list(ro):
            if r.random()<.5: continue
            if o["todo"]:
                k=o["todo"][0]; p=w.parts[k[0]]
                if p.wlocked(k) and BUG!="dirtyread": continue
                o["todo"].pop(0); o["v"][k]=p.kv.get(k,()); o["n"][k]=p.ver.get(k,0)
                if not o["todo"]: o["chk"]=list(o["v"])
            elif o["chk"] and BUG!="nocheck":
                k=o["chk"].pop(0); p=w.parts[k[0]]
                if p.ver.get(k,0)!=o["n"][k] or p.wlocked(k): o.update(todo=list(o["v"]),v={},n={},chk=None)
            if o["chk"] is not None and (not o["chk"] or BUG=="nocheck"):
                ro.remove(o)
                if not any(all(s.get(k,())==v for k,v in o["v"].items()) for s in window(truths,o["start"],t,w.truth)): w.fails.append(f"read-only tx saw no instant {o['start']}..{t}")
        if w.truth is not before: truths.append((t,w.truth))
    # at the end nothing stays in doubt and every partition equals the truth
    live={k:v for k,v in w.truth.items()}
    for x in w.txs:
        if x.get("told")=="ok" and not x.get("commits"): w.fails.append(f"tx {x['id']} told ok, never committed")
    for p in w.parts:
        if not p.prep:
            for k in KEYS:
                if k[0]==p.i and p.kv.get(k,())!=live.get(k,()): w.fails.append(f"end state {k}")
    return w.fails,sum(1 for x in w.txs if x.get("commits")),w.aborts,sum(len(p.prep) for p in w.parts)
def window(truths,a,b,now):
    out=[now]; 
    for i in range(len(truths)-1,-1,-1):
        out.append(truths[i][1])
        if truths[i][0]<a: break
    return out
if __name__=="__main__":
    seeds=int(sys.argv[1]) if len(sys.argv)>1 else 300; first=int(sys.argv[2]) if len(sys.argv)>2 else 0; BUG=sys.argv[3] if len(sys.argv)>3 else None
    bad=c=a=d=0
    for s in range(first,first+seeds):
        f,x,y,z=run(s); c+=x; a+=y; d+=z
        if f:
            bad+=1
            if bad<=4: print("seed",s,f[:2])
    print(f"bug={BUG} seeds={seeds} failing={bad} commits={c} aborts={a} left_in_doubt={d}")
