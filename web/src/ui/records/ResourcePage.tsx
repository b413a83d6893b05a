/** The page of any resource, made from its declaration: a live table, and forms for those who may write. */

import { useMusterClient, useResource, useSyncConnection } from "muster-client/react";
import { useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import type { Descriptor } from "../../resources/descriptor.ts";
import { asBefore, defaultSort, found, ordered, type Sort, titleOf } from "../../resources/list.ts";
import { type AnyRecord, storeOf, watchReferences } from "../../resources/store.ts";
import { Writes } from "../../resources/writes.ts";
import type { Session } from "../../session.ts";
import { ConnectionNotice } from "../ConnectionNotice.tsx";
import { messageOf } from "../failure.ts";
import { DeleteDialog } from "./DeleteDialog.tsx";
import { Parts } from "./Parts.tsx";
import { RecordForm } from "./RecordForm.tsx";
import { RecordTable } from "./RecordTable.tsx";

interface ResourcePageProps {
  readonly descriptor: Descriptor;
  readonly session: Session;
}

/** More rows than anyone reads at once would only cost time with every change. */
const ROWS = 100;

/** What a person looks at: a search, an order, and a part of what comes of them. */
interface Look {
  readonly text: string;
  readonly sort: Sort;
  readonly part: number;
}

/** What came of what the person did last. */
interface Outcome {
  readonly said: string;
  /** What can be brought back. */
  readonly deleted: AnyRecord | null;
  /** Whether the button that was pressed is gone, and the focus with it. */
  readonly isFocusLost: boolean;
}

const NOTHING_DONE: Outcome = { said: "", deleted: null, isFocusLost: false };

export function ResourcePage({ descriptor, session }: ResourcePageProps) {
  const { label, singular } = descriptor;
  const client = useMusterClient();
  const { isLive, workspace } = useSyncConnection();
  const { items, isLoaded, error, lastSyncTime } = useResource(storeOf(client, descriptor.name));
  // Rows come and go; what they refer to is not to be asked for anew with each.
  useEffect(() => watchReferences(client, descriptor), [client, descriptor]);
  const [look, setLook] = useState<Look>({ text: "", sort: defaultSort(descriptor), part: 0 });
  const [created, setCreated] = useState(false);
  const [edited, setEdited] = useState<AnyRecord | null>(null);
  const [doomed, setDoomed] = useState<AnyRecord | null>(null);
  const [outcome, setOutcome] = useState(NOTHING_DONE);
  const heading = useRef<HTMLHeadingElement>(null);
  const workspaceId = workspace?.id ?? null;
  const writes = useMemo(
    () => (workspaceId === null ? null : new Writes(session, workspaceId, descriptor)),
    [session, workspaceId, descriptor],
  );
  const mayWrite = workspace !== null && descriptor.writers.includes(workspace.role);

  // Ordering a long list takes time: while records change faster than that, it is done for the latest of them only.
  const latest = useDeferredValue(items);
  const before = useRef<readonly AnyRecord[]>([]);
  const records = useMemo(
    () => ordered(asBefore(found(latest, descriptor, look.text), before.current), descriptor, look.sort),
    [latest, descriptor, look.text, look.sort],
  );
  useEffect(() => {
    before.current = records;
  }, [records]);
  // Records that go may take the part with them that was looked at.
  const part = Math.min(look.part, Math.max(0, Math.ceil(records.length / ROWS) - 1));

  useEffect(() => {
    document.title = `${label} – Muster`;
    return () => {
      document.title = "Muster";
    };
  }, [label]);

  useEffect(() => {
    if (outcome.isFocusLost) heading.current?.focus();
  }, [outcome]);

  function close(done: string | null) {
    setCreated(false);
    setEdited(null);
    setDoomed(null);
    const deleted = done === null ? null : doomed;
    setOutcome({ said: done ?? "", deleted, isFocusLost: deleted !== null });
  }

  async function restore(deleted: AnyRecord) {
    setOutcome(NOTHING_DONE);
    try {
      await writes?.restore(deleted.id);
      const said = `${titleOf(descriptor, deleted)} is back.`;
      setOutcome({ said, deleted: null, isFocusLost: true });
    } catch (error) {
      setOutcome({ said: messageOf(error), deleted, isFocusLost: true });
    }
  }

  const { deleted } = outcome;
  const add = mayWrite && (
    <button className="button is-primary" type="button" onClick={() => setCreated(true)}>
      Add {singular}
    </button>
  );
  return (
    <>
      <ConnectionNotice isLoaded={isLoaded} liveMs={lastSyncTime} />
      <main className="content" data-stale={isLoaded && !isLive}>
        <div className="tools">
          <h2 ref={heading} tabIndex={-1}>
            {label}
          </h2>
          {isLoaded && <p className="amount">{items.length.toLocaleString("en")}</p>}
          <p className="said" role="status">
            {outcome.said}
          </p>
          {descriptor.isJournalled && deleted !== null && (
            <button className="quiet" type="button" onClick={() => void restore(deleted)}>
              Undo
            </button>
          )}
          <span className="gap" />
          {descriptor.searched.length > 0 && items.length > 0 && (
            <input
              type="search"
              aria-label={`Search ${label.toLowerCase()}`}
              placeholder="Search"
              value={look.text}
              onChange={(event) => setLook({ ...look, text: event.target.value, part: 0 })}
            />
          )}
          {items.length > 0 && add}
        </div>
        {!isLoaded && error === null && <p className="loading">Getting the {label.toLowerCase()}…</p>}
        {!isLoaded && error !== null && (
          <p className="failure" role="alert">
            {error.message}
          </p>
        )}
        {isLoaded && items.length === 0 && (
          <section className="empty">
            <h3>No {label.toLowerCase()} yet</h3>
            <p>
              {mayWrite ? "What anybody adds appears here at once." : "What is added appears here at once."}
            </p>
            {add}
          </section>
        )}
        {items.length > 0 && records.length === 0 && look.text !== "" && (
          <p className="loading">
            No {singular} contains “{look.text.trim()}”.
          </p>
        )}
        {records.length > 0 && (
          <RecordTable
            descriptor={descriptor}
            records={records.slice(part * ROWS, (part + 1) * ROWS)}
            sort={look.sort}
            setSort={(sort) => setLook({ ...look, sort, part: 0 })}
            edit={mayWrite ? setEdited : null}
            remove={mayWrite && descriptor.isDeletable ? setDoomed : null}
          />
        )}
        {records.length > ROWS && (
          <Parts
            part={part}
            rows={ROWS}
            count={records.length}
            show={(wanted) => setLook({ ...look, part: wanted })}
          />
        )}
      </main>
      {writes !== null && (created || edited !== null) && (
        <RecordForm descriptor={descriptor} writes={writes} record={edited} close={close} />
      )}
      {writes !== null && doomed !== null && (
        <DeleteDialog descriptor={descriptor} writes={writes} record={doomed} close={close} />
      )}
    </>
  );
}
