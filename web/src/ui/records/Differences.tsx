/** What somebody else has changed about a record meanwhile, beside what would be saved. */

import type { Difference } from "../../resources/conflict.ts";
import { FieldValue } from "./FieldValue.tsx";

interface DifferencesProps {
  readonly differences: readonly Difference[];
  /** Whether there is something to save. */
  readonly hasMine: boolean;
}

export function Differences({ differences, hasMine }: DifferencesProps) {
  return (
    <table className="differences">
      <thead>
        <tr>
          <th scope="col">Field</th>
          <th scope="col">Before</th>
          <th scope="col">Now</th>
          {hasMine && <th scope="col">With yours</th>}
        </tr>
      </thead>
      <tbody>
        {differences.map(({ field, before, now, mine }) => (
          <tr key={field.name} data-field={field.name}>
            <th scope="row">{field.label}</th>
            <td>
              <FieldValue field={field} value={before} />
            </td>
            <td>
              <FieldValue field={field} value={now} />
            </td>
            {hasMine && (
              <td>
                <FieldValue field={field} value={mine} />
              </td>
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
