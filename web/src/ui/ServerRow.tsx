/** One machine. It listens for its own records, so that a change of one machine redraws one row. */

import { memo } from "react";
import { current, type Sample, type Server, share } from "../fleet/records.ts";
import type { FleetStore } from "../fleet/store.ts";
import { ago, duration, NOTHING, percent, rate, usage } from "../format.ts";
import { useNow, useView } from "./view.ts";

interface ServerRowProps {
  readonly store: FleetStore;
  readonly id: string;
}

export const ServerRow = memo(function ServerRow({ store, id }: ServerRowProps) {
  const server = useView(store, (view) => view.servers.get(id))?.data;
  const latest = useView(store, (view) => view.samples.get(id))?.data;
  // Between two orders of the table a server may be gone already.
  if (server === undefined) return null;
  const sample = current(server, latest);
  return (
    <tr role="row" data-server-id={id} data-status={server.status}>
      <td role="cell" data-field="status">
        <span className="status-dot" aria-hidden="true" />
        {server.status}
      </td>
      <th scope="row" role="rowheader" data-field="name">
        <Name server={server} />
      </th>
      <Measure field="cpu" label="CPU" text={percent(sample?.cpu_percent)} share={sample?.cpu_percent} />
      <Usage field="memory" label="Memory" used={sample?.mem_used} total={sample?.mem_total} />
      <Usage field="disk" label="Disk" used={sample?.disk_used} total={sample?.disk_total} />
      <td role="cell" data-field="network" data-label="Network">
        <Network sample={sample} />
      </td>
      <td role="cell" data-field="uptime" data-label="Uptime">
        {duration(sample?.uptime_s)}
      </td>
      <td role="cell" data-field="last-seen" data-label="Last seen">
        {server.status === "online" ? "now" : <LastSeen store={store} at={server.last_seen} />}
      </td>
    </tr>
  );
});

function Name({ server: { name, hostname, tags } }: { readonly server: Server }) {
  const hasDetails = (hostname && hostname !== name) || (tags?.length ?? 0) > 0;
  return (
    <>
      <span className="name" title={name}>
        {name}
      </span>
      {hasDetails && (
        <span className="name-details">
          {hostname && hostname !== name && <span className="hostname">{hostname}</span>}
          {tags?.map((tag) => (
            <span className="tag" key={tag}>
              {tag}
            </span>
          ))}
        </span>
      )}
    </>
  );
}

interface MeasureProps {
  readonly field: string;
  readonly label: string;
  readonly text: string;
  /** 0–100; without it there is no bar. */
  readonly share: number | null | undefined;
  /** Said beside the text. */
  readonly note?: string;
}

function Measure({ field, label, text, share: percentage, note }: MeasureProps) {
  const isKnown = typeof percentage === "number";
  return (
    <td role="cell" data-field={field} data-label={label}>
      <span className="measure">
        <span>{text}</span>
        {note !== undefined && <span className="measure-note">{note}</span>}
      </span>
      {isKnown && (
        <span className="bar" data-level={level(percentage)} aria-hidden="true">
          <span style={{ transform: `scaleX(${Math.min(1, Math.max(0, percentage / 100))})` }} />
        </span>
      )}
    </td>
  );
}

interface UsageProps {
  readonly field: string;
  readonly label: string;
  readonly used: number | null | undefined;
  readonly total: number | null | undefined;
}

function Usage({ field, label, used, total }: UsageProps) {
  const percentage = share(used, total);
  const note = percentage === null ? {} : { note: `${Math.round(percentage)}%` };
  return <Measure field={field} label={label} text={usage(used, total)} share={percentage} {...note} />;
}

function Network({ sample }: { readonly sample: Sample | undefined }) {
  if (sample?.net_rx_rate == null && sample?.net_tx_rate == null) return NOTHING;
  return (
    <span className="network">
      <span>
        <span className="arrow" role="img" aria-label="received">
          ↓
        </span>
        {rate(sample.net_rx_rate)}
      </span>
      <span>
        <span className="arrow" role="img" aria-label="sent">
          ↑
        </span>
        {rate(sample.net_tx_rate)}
      </span>
    </span>
  );
}

function LastSeen({ store, at }: { readonly store: FleetStore; readonly at: string | null | undefined }) {
  const offsetMs = useView(store, (view) => view.status.clockOffsetMs);
  const nowMs = useNow(10_000);
  const moment = new Date(at ?? Number.NaN);
  if (Number.isNaN(moment.getTime())) return "never";
  return (
    <time dateTime={moment.toISOString()} title={moment.toLocaleString()}>
      {ago(moment.getTime(), nowMs + offsetMs)}
    </time>
  );
}

/** Where a share of 0–100 begins to need a look, and where it needs one now. */
function level(percentage: number): "normal" | "high" | "critical" {
  if (percentage >= 95) return "critical";
  return percentage >= 80 ? "high" : "normal";
}
