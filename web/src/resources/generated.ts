// Written by `make types` from the declarations in shared/resources: what is changed here is lost.

import type { Descriptor } from "./descriptor.ts";

/** A registration. */
export interface Agent {
  readonly name: string;
  readonly groups: readonly string[];
  readonly healthy: boolean;
  readonly last_heartbeat: string;
  readonly clients_count: number;
  readonly sync_revision: number;
  readonly server_id: string;
  readonly agent_version: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly clock_skew_s: number | null;
}

/** A question about a product; a choice is among its `options`. */
export interface Attribute {
  readonly name: string;
  readonly kind: "boolean" | "choice" | "choices" | "number" | "text";
  readonly options: readonly string[];
  readonly required: boolean;
  readonly position: number;
}

/** The battery. `left_s` is how long it lasts, where the machine knows and is not plugged in. */
export interface Battery {
  readonly percent?: number | null;
  readonly plugged?: boolean | null;
  readonly left_s?: number | null;
}

/** A group of products, maybe within another one. */
export interface Category {
  readonly name: string;
  readonly parent_id: string;
  readonly color: string;
  readonly position: number;
}

/** A container: percent of one core (two busy cores are 200), bytes, bytes per second. */
export interface Container {
  readonly name?: string;
  readonly image?: string;
  readonly state?: string;
  readonly cpu_percent?: number | null;
  readonly mem_used?: number | null;
  readonly net_rx_rate?: number | null;
  readonly net_tx_rate?: number | null;
}

/** A table with room for `capacity` guests. */
export interface DiningTable {
  readonly name: string;
  readonly zone_id: string;
  readonly capacity: number;
  readonly status: "closed" | "free" | "occupied" | "reserved";
  readonly position: number;
}

/** A file system: its bytes, and what is read from and written to its device in bytes per second. */
export interface Disk {
  readonly mountpoint?: string;
  readonly device?: string;
  readonly filesystem?: string;
  readonly used?: number | null;
  readonly total?: number | null;
  readonly read_rate?: number | null;
  readonly write_rate?: number | null;
}

/** A person; no user of Muster is meant. */
export interface Employee {
  readonly name: string;
  readonly email: string;
  readonly phone: string;
  readonly role_id: string;
  readonly active: boolean;
}

/** A set of permissions. */
export interface EmployeeRole {
  readonly name: string;
  readonly permissions: readonly string[];
}

/** A graphics processor: bytes of its memory, degrees Celsius, watts. */
export interface Gpu {
  readonly index?: number | null;
  readonly name?: string;
  readonly percent?: number | null;
  readonly mem_used?: number | null;
  readonly mem_total?: number | null;
  readonly temperature?: number | null;
  readonly power_w?: number | null;
}

/** A network interface: bytes since it came up, and bytes per second. */
export interface Interface {
  readonly name?: string;
  readonly rx_total?: number | null;
  readonly tx_total?: number | null;
  readonly rx_rate?: number | null;
  readonly tx_rate?: number | null;
}

/** What a machine runs, as its agent says. */
export interface OperatingSystem {
  readonly name: string;
  readonly version: string;
  readonly kernel: string;
  readonly arch: string;
}

/** Changes the price of `targets` by `value`: percent of it, an amount, or (`fixed`) a price instead of it. */
export interface PriceRule {
  readonly name: string;
  readonly applies_to: "all" | "categories" | "products" | "tags";
  readonly targets: readonly string[];
  readonly kind: "amount" | "fixed" | "percent";
  readonly value: number;
  readonly starts_at: string | null;
  readonly ends_at: string | null;
  readonly priority: number;
  readonly active: boolean;
}

/** A printer at a host name or an IP address. */
export interface PrintDestination {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: "ipp" | "lpd" | "raw";
  readonly enabled: boolean;
}

/** A process, by its name without arguments: percent of one core (two busy cores are 200), resident bytes. */
export interface Process {
  readonly pid?: number | null;
  readonly name?: string;
  readonly cpu_percent?: number | null;
  readonly mem_used?: number | null;
}

/** A product; `attributes` are the names of what can be chosen about it. */
export interface Product {
  readonly name: string;
  readonly sku: string;
  readonly description: string;
  readonly category_id: string;
  readonly price: number;
  readonly currency: string;
  readonly tags: readonly string[];
  readonly attributes: readonly string[];
  readonly available: boolean;
  readonly position: number;
}

/** One measurement of a machine: sizes in bytes, rates in bytes per second, shares in percent. */
export interface Sample {
  readonly ts: string;
  readonly boot_id?: string;
  readonly seq?: number;
  readonly cpu_percent?: number | null;
  readonly load1?: number | null;
  readonly load5?: number | null;
  readonly load15?: number | null;
  readonly mem_used?: number | null;
  readonly mem_total?: number | null;
  readonly swap_used?: number | null;
  readonly swap_total?: number | null;
  readonly disk_used?: number | null;
  readonly disk_total?: number | null;
  readonly disk_read_rate?: number | null;
  readonly disk_write_rate?: number | null;
  readonly net_rx_total?: number | null;
  readonly net_tx_total?: number | null;
  readonly net_rx_rate?: number | null;
  readonly net_tx_rate?: number | null;
  readonly tcp_connections?: number | null;
  readonly udp_connections?: number | null;
  readonly processes?: number | null;
  readonly uptime_s?: number | null;
  readonly temperatures?: Readonly<Record<string, number>> | null;
  readonly gpus?: readonly Gpu[] | null;
  readonly disks?: readonly Disk[] | null;
  readonly interfaces?: readonly Interface[] | null;
  readonly containers?: readonly Container[] | null;
  readonly cpu_cores?: readonly number[] | null;
  readonly battery?: Battery | null;
  readonly top_processes?: readonly Process[] | null;
  readonly failed_units?: readonly string[] | null;
  readonly smart?: readonly Smart[] | null;
}

/** A machine. `status` and `last_seen` change when it goes online or offline, not with every sample. */
export interface Server {
  readonly name: string;
  readonly hostname: string;
  readonly machine_id: string;
  readonly status: "offline" | "online" | "unknown";
  readonly last_seen: string | null;
  readonly tags: readonly string[];
  readonly groups: readonly string[];
  readonly notes: string;
  readonly hidden: boolean;
  readonly position: number;
  readonly os: OperatingSystem;
  readonly agent_version: string;
  readonly provider: string;
  readonly price: number | null;
  readonly currency: string;
  readonly billing_cycle: "" | "monthly" | "once" | "quarterly" | "yearly";
  readonly expires_at: string | null;
  readonly traffic_limit_bytes: number | null;
}

/** What a disk says of itself. `worn_percent` beyond 100 is what a disk may say that outlives its rating. */
export interface Smart {
  readonly device?: string;
  readonly model?: string;
  readonly healthy?: boolean | null;
  readonly temperature?: number | null;
  readonly power_on_hours?: number | null;
  readonly worn_percent?: number | null;
  readonly reallocated_sectors?: number | null;
  readonly pending_sectors?: number | null;
  readonly media_errors?: number | null;
}

/** A label. */
export interface Tag {
  readonly name: string;
  readonly color: string;
  readonly position: number;
}

/** A site, known by its primary domain; `cname` is where its domains point to. */
export interface Website {
  readonly primary_domain: string;
  readonly domains: readonly string[];
  readonly cname: string;
  readonly line_group_id: string;
  readonly line_group: string;
  readonly https_enabled: boolean;
  readonly status: string;
}

/** A part of a place. */
export interface Zone {
  readonly name: string;
  readonly color: string;
  readonly position: number;
}

/** The record of each resource. */
export interface Records {
  readonly agents: Agent;
  readonly attributes: Attribute;
  readonly categories: Category;
  readonly dining_tables: DiningTable;
  readonly employees: Employee;
  readonly metrics: Sample;
  readonly price_rules: PriceRule;
  readonly print_destinations: PrintDestination;
  readonly products: Product;
  readonly roles: EmployeeRole;
  readonly servers: Server;
  readonly tags: Tag;
  readonly websites: Website;
  readonly zones: Zone;
}

export const RESOURCES: { readonly [Name in keyof Records]: Descriptor } = {
  agents: {
    name: "agents",
    label: "Agents",
    singular: "agent",
    titleField: "name",
    writers: [],
    isDeletable: false,
    isJournalled: false,
    sortable: ["name", "last_heartbeat", "created_at"],
    searched: [],
    fields: [
      {"name": "name", "label": "Name", "kind": "text", "isEditable": false, "isRequired": true, "isNullable": false, "default": null, "maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)"},
      {"name": "groups", "label": "Groups", "kind": "list", "isEditable": false, "isRequired": false, "isNullable": false, "default": [], "maxItems": 64, "item": {"minLength": 1, "maxLength": 64, "pattern": "^[^\\x00-\\x1f]+$(?!\\n)"}},
      {"name": "healthy", "label": "Healthy", "kind": "boolean", "isEditable": false, "isRequired": false, "isNullable": false, "default": true},
      {"name": "last_heartbeat", "label": "Last heartbeat", "kind": "time", "isEditable": false, "isRequired": true, "isNullable": false, "default": null},
      {"name": "clients_count", "label": "Clients count", "kind": "integer", "isEditable": false, "isRequired": false, "isNullable": false, "default": 0, "minimum": 0, "maximum": 9007199254740991},
      {"name": "sync_revision", "label": "Sync revision", "kind": "integer", "isEditable": false, "isRequired": false, "isNullable": false, "default": 0, "minimum": 0, "maximum": 9007199254740991},
      {"name": "server_id", "label": "Server", "kind": "reference", "isEditable": false, "isRequired": true, "isNullable": false, "default": null, "maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)", "resource": "servers"},
      {"name": "agent_version", "label": "Agent version", "kind": "text", "isEditable": false, "isRequired": false, "isNullable": false, "default": "", "maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)"},
      {"name": "created_at", "label": "Created at", "kind": "time", "isEditable": false, "isRequired": true, "isNullable": false, "default": null},
      {"name": "updated_at", "label": "Updated at", "kind": "time", "isEditable": false, "isRequired": true, "isNullable": false, "default": null},
      {"name": "clock_skew_s", "label": "Clock skew s", "kind": "number", "isEditable": false, "isRequired": false, "isNullable": true, "default": null},
    ],
  },
  attributes: {
    name: "attributes",
    label: "Attributes",
    singular: "attribute",
    titleField: "name",
    writers: ["editor", "owner"],
    isDeletable: true,
    isJournalled: true,
    sortable: ["name", "position"],
    searched: ["name"],
    fields: [
      {"name": "name", "label": "Name", "kind": "text", "isEditable": true, "isRequired": true, "isNullable": false, "default": null, "minLength": 1, "maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)"},
      {"name": "kind", "label": "Kind", "kind": "choice", "isEditable": true, "isRequired": false, "isNullable": false, "default": "choice", "options": ["choice", "choices", "text", "number", "boolean"]},
      {"name": "options", "label": "Options", "kind": "list", "isEditable": true, "isRequired": false, "isNullable": false, "default": [], "maxItems": 64, "item": {"minLength": 1, "maxLength": 64, "pattern": "^[^\\x00-\\x1f]+$(?!\\n)"}},
      {"name": "required", "label": "Required", "kind": "boolean", "isEditable": true, "isRequired": false, "isNullable": false, "default": false},
      {"name": "position", "label": "Position", "kind": "integer", "isEditable": true, "isRequired": false, "isNullable": false, "default": 0, "minimum": -2147483648, "maximum": 2147483647},
    ],
  },
  categories: {
    name: "categories",
    label: "Categories",
    singular: "category",
    titleField: "name",
    writers: ["editor", "owner"],
    isDeletable: true,
    isJournalled: true,
    sortable: ["name", "position"],
    searched: ["name"],
    fields: [
      {"name": "name", "label": "Name", "kind": "text", "isEditable": true, "isRequired": true, "isNullable": false, "default": null, "minLength": 1, "maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)"},
      {"name": "parent_id", "label": "Parent", "kind": "reference", "isEditable": true, "isRequired": false, "isNullable": false, "default": "", "maxLength": 64, "pattern": "^[A-Za-z0-9_-]*$(?!\\n)", "resource": "categories"},
      {"name": "color", "label": "Color", "kind": "color", "isEditable": true, "isRequired": false, "isNullable": false, "default": "", "hint": "Red, green and blue, such as #2456c9", "pattern": "^(#[0-9a-f]{6})?$(?!\\n)"},
      {"name": "position", "label": "Position", "kind": "integer", "isEditable": true, "isRequired": false, "isNullable": false, "default": 0, "minimum": -2147483648, "maximum": 2147483647},
    ],
  },
  dining_tables: {
    name: "dining_tables",
    label: "Dining tables",
    singular: "dining table",
    titleField: "name",
    writers: ["editor", "owner"],
    isDeletable: true,
    isJournalled: true,
    sortable: ["name", "position", "capacity"],
    searched: ["name"],
    fields: [
      {"name": "name", "label": "Name", "kind": "text", "isEditable": true, "isRequired": true, "isNullable": false, "default": null, "minLength": 1, "maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)"},
      {"name": "zone_id", "label": "Zone", "kind": "reference", "isEditable": true, "isRequired": false, "isNullable": false, "default": "", "maxLength": 64, "pattern": "^[A-Za-z0-9_-]*$(?!\\n)", "resource": "zones"},
      {"name": "capacity", "label": "Capacity", "kind": "integer", "isEditable": true, "isRequired": false, "isNullable": false, "default": 4, "minimum": 1, "maximum": 1000},
      {"name": "status", "label": "Status", "kind": "choice", "isEditable": true, "isRequired": false, "isNullable": false, "default": "free", "options": ["free", "occupied", "reserved", "closed"]},
      {"name": "position", "label": "Position", "kind": "integer", "isEditable": true, "isRequired": false, "isNullable": false, "default": 0, "minimum": -2147483648, "maximum": 2147483647},
    ],
  },
  employees: {
    name: "employees",
    label: "Employees",
    singular: "employee",
    titleField: "name",
    writers: ["editor", "owner"],
    isDeletable: true,
    isJournalled: true,
    sortable: ["name"],
    searched: ["name", "email", "phone"],
    fields: [
      {"name": "name", "label": "Name", "kind": "text", "isEditable": true, "isRequired": true, "isNullable": false, "default": null, "minLength": 1, "maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)"},
      {"name": "email", "label": "Email", "kind": "text", "isEditable": true, "isRequired": false, "isNullable": false, "default": "", "maxLength": 320, "pattern": "^([^@\\s\\x00-\\x1f\\x85\\ufeff]+@[^@\\s\\x00-\\x1f\\x85\\ufeff]+)?$(?!\\n)"},
      {"name": "phone", "label": "Phone", "kind": "text", "isEditable": true, "isRequired": false, "isNullable": false, "default": "", "maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)"},
      {"name": "role_id", "label": "Role", "kind": "reference", "isEditable": true, "isRequired": false, "isNullable": false, "default": "", "maxLength": 64, "pattern": "^[A-Za-z0-9_-]*$(?!\\n)", "resource": "roles"},
      {"name": "active", "label": "Active", "kind": "boolean", "isEditable": true, "isRequired": false, "isNullable": false, "default": true},
    ],
  },
  metrics: {
    name: "metrics",
    label: "Metrics",
    singular: "metric",
    titleField: "ts",
    writers: [],
    isDeletable: false,
    isJournalled: false,
    sortable: ["ts"],
    searched: [],
    fields: [
      {"name": "ts", "label": "Ts", "kind": "time", "isEditable": false, "isRequired": true, "isNullable": false, "default": null},
      {"name": "boot_id", "label": "Boot ID", "kind": "text", "isEditable": false, "isRequired": false, "isNullable": false, "default": "", "maxLength": 64, "pattern": "^[A-Za-z0-9_-]*$(?!\\n)"},
      {"name": "seq", "label": "Seq", "kind": "integer", "isEditable": false, "isRequired": false, "isNullable": false, "default": 0, "minimum": 0, "maximum": 9007199254740991},
      {"name": "cpu_percent", "label": "CPU percent", "kind": "number", "isEditable": false, "isRequired": false, "isNullable": true, "default": null, "minimum": 0, "maximum": 100},
      {"name": "load1", "label": "Load1", "kind": "number", "isEditable": false, "isRequired": false, "isNullable": true, "default": null, "minimum": 0, "maximum": 1000000000000000.0},
      {"name": "load5", "label": "Load5", "kind": "number", "isEditable": false, "isRequired": false, "isNullable": true, "default": null, "minimum": 0, "maximum": 1000000000000000.0},
      {"name": "load15", "label": "Load15", "kind": "number", "isEditable": false, "isRequired": false, "isNullable": true, "default": null, "minimum": 0, "maximum": 1000000000000000.0},
      {"name": "mem_used", "label": "Mem used", "kind": "integer", "isEditable": false, "isRequired": false, "isNullable": true, "default": null, "minimum": 0, "maximum": 9007199254740991},
      {"name": "mem_total", "label": "Mem total", "kind": "integer", "isEditable": false, "isRequired": false, "isNullable": true, "default": null, "minimum": 0, "maximum": 9007199254740991},
      {"name": "swap_used", "label": "Swap used", "kind": "integer", "isEditable": false, "isRequired": false, "isNullable": true, "default": null, "minimum": 0, "maximum": 9007199254740991},
      {"name": "swap_total", "label": "Swap total", "kind": "integer", "isEditable": false, "isRequired": false, "isNullable": true, "default": null, "minimum": 0, "maximum": 9007199254740991},
      {"name": "disk_used", "label": "Disk used", "kind": "integer", "isEditable": false, "isRequired": false, "isNullable": true, "default": null, "minimum": 0, "maximum": 9007199254740991},
      {"name": "disk_total", "label": "Disk total", "kind": "integer", "isEditable": false, "isRequired": false, "isNullable": true, "default": null, "minimum": 0, "maximum": 9007199254740991},
      {"name": "disk_read_rate", "label": "Disk read rate", "kind": "number", "isEditable": false, "isRequired": false, "isNullable": true, "default": null, "minimum": 0, "maximum": 1000000000000000.0},
      {"name": "disk_write_rate", "label": "Disk write rate", "kind": "number", "isEditable": false, "isRequired": false, "isNullable": true, "default": null, "minimum": 0, "maximum": 1000000000000000.0},
      {"name": "net_rx_total", "label": "Net rx total", "kind": "integer", "isEditable": false, "isRequired": false, "isNullable": true, "default": null, "minimum": 0, "maximum": 9007199254740991},
      {"name": "net_tx_total", "label": "Net tx total", "kind": "integer", "isEditable": false, "isRequired": false, "isNullable": true, "default": null, "minimum": 0, "maximum": 9007199254740991},
      {"name": "net_rx_rate", "label": "Net rx rate", "kind": "number", "isEditable": false, "isRequired": false, "isNullable": true, "default": null, "minimum": 0, "maximum": 1000000000000000.0},
      {"name": "net_tx_rate", "label": "Net tx rate", "kind": "number", "isEditable": false, "isRequired": false, "isNullable": true, "default": null, "minimum": 0, "maximum": 1000000000000000.0},
      {"name": "tcp_connections", "label": "Tcp connections", "kind": "integer", "isEditable": false, "isRequired": false, "isNullable": true, "default": null, "minimum": 0, "maximum": 9007199254740991},
      {"name": "udp_connections", "label": "Udp connections", "kind": "integer", "isEditable": false, "isRequired": false, "isNullable": true, "default": null, "minimum": 0, "maximum": 9007199254740991},
      {"name": "processes", "label": "Processes", "kind": "integer", "isEditable": false, "isRequired": false, "isNullable": true, "default": null, "minimum": 0, "maximum": 9007199254740991},
      {"name": "uptime_s", "label": "Uptime s", "kind": "number", "isEditable": false, "isRequired": false, "isNullable": true, "default": null, "minimum": 0, "maximum": 1000000000000000.0},
      {"name": "temperatures", "label": "Temperatures", "kind": "object", "isEditable": false, "isRequired": false, "isNullable": true, "default": null},
      {"name": "gpus", "label": "Gpus", "kind": "object", "isEditable": false, "isRequired": false, "isNullable": true, "default": null},
      {"name": "disks", "label": "Disks", "kind": "object", "isEditable": false, "isRequired": false, "isNullable": true, "default": null},
      {"name": "interfaces", "label": "Interfaces", "kind": "object", "isEditable": false, "isRequired": false, "isNullable": true, "default": null},
      {"name": "containers", "label": "Containers", "kind": "object", "isEditable": false, "isRequired": false, "isNullable": true, "default": null},
      {"name": "cpu_cores", "label": "CPU cores", "kind": "object", "isEditable": false, "isRequired": false, "isNullable": true, "default": null},
      {"name": "battery", "label": "Battery", "kind": "object", "isEditable": false, "isRequired": false, "isNullable": true, "default": null},
      {"name": "top_processes", "label": "Top processes", "kind": "object", "isEditable": false, "isRequired": false, "isNullable": true, "default": null},
      {"name": "failed_units", "label": "Failed units", "kind": "list", "isEditable": false, "isRequired": false, "isNullable": true, "default": null, "maxItems": 64, "item": {"maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)"}},
      {"name": "smart", "label": "Smart", "kind": "object", "isEditable": false, "isRequired": false, "isNullable": true, "default": null},
    ],
  },
  price_rules: {
    name: "price_rules",
    label: "Price rules",
    singular: "price rule",
    titleField: "name",
    writers: ["editor", "owner"],
    isDeletable: true,
    isJournalled: true,
    sortable: ["name", "priority", "starts_at", "ends_at"],
    searched: ["name"],
    fields: [
      {"name": "name", "label": "Name", "kind": "text", "isEditable": true, "isRequired": true, "isNullable": false, "default": null, "minLength": 1, "maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)"},
      {"name": "applies_to", "label": "Applies to", "kind": "choice", "isEditable": true, "isRequired": false, "isNullable": false, "default": "all", "options": ["all", "products", "categories", "tags"]},
      {"name": "targets", "label": "Targets", "kind": "list", "isEditable": true, "isRequired": false, "isNullable": false, "default": [], "maxItems": 64, "item": {"minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_-]*$(?!\\n)"}},
      {"name": "kind", "label": "Kind", "kind": "choice", "isEditable": true, "isRequired": false, "isNullable": false, "default": "percent", "options": ["percent", "amount", "fixed"]},
      {"name": "value", "label": "Value", "kind": "number", "isEditable": true, "isRequired": false, "isNullable": false, "default": 0.0, "minimum": -1000000000000000.0, "maximum": 1000000000000000.0},
      {"name": "starts_at", "label": "Starts at", "kind": "time", "isEditable": true, "isRequired": false, "isNullable": true, "default": null},
      {"name": "ends_at", "label": "Ends at", "kind": "time", "isEditable": true, "isRequired": false, "isNullable": true, "default": null},
      {"name": "priority", "label": "Priority", "kind": "integer", "isEditable": true, "isRequired": false, "isNullable": false, "default": 0, "minimum": -2147483648, "maximum": 2147483647},
      {"name": "active", "label": "Active", "kind": "boolean", "isEditable": true, "isRequired": false, "isNullable": false, "default": true},
    ],
  },
  print_destinations: {
    name: "print_destinations",
    label: "Print destinations",
    singular: "print destination",
    titleField: "name",
    writers: ["editor", "owner"],
    isDeletable: true,
    isJournalled: true,
    sortable: ["name"],
    searched: ["name", "address"],
    fields: [
      {"name": "name", "label": "Name", "kind": "text", "isEditable": true, "isRequired": true, "isNullable": false, "default": null, "minLength": 1, "maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)"},
      {"name": "address", "label": "Address", "kind": "text", "isEditable": true, "isRequired": false, "isNullable": false, "default": "", "maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)"},
      {"name": "port", "label": "Port", "kind": "integer", "isEditable": true, "isRequired": false, "isNullable": false, "default": 9100, "minimum": 1, "maximum": 65535},
      {"name": "protocol", "label": "Protocol", "kind": "choice", "isEditable": true, "isRequired": false, "isNullable": false, "default": "raw", "options": ["raw", "ipp", "lpd"]},
      {"name": "enabled", "label": "Enabled", "kind": "boolean", "isEditable": true, "isRequired": false, "isNullable": false, "default": true},
    ],
  },
  products: {
    name: "products",
    label: "Products",
    singular: "product",
    titleField: "name",
    writers: ["editor", "owner"],
    isDeletable: true,
    isJournalled: true,
    sortable: ["name", "position", "price"],
    searched: ["name", "sku"],
    fields: [
      {"name": "name", "label": "Name", "kind": "text", "isEditable": true, "isRequired": true, "isNullable": false, "default": null, "minLength": 1, "maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)"},
      {"name": "sku", "label": "SKU", "kind": "text", "isEditable": true, "isRequired": false, "isNullable": false, "default": "", "maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)"},
      {"name": "description", "label": "Description", "kind": "long-text", "isEditable": true, "isRequired": false, "isNullable": false, "default": "", "maxLength": 10000, "pattern": "^[^\\x00]*$"},
      {"name": "category_id", "label": "Category", "kind": "reference", "isEditable": true, "isRequired": false, "isNullable": false, "default": "", "maxLength": 64, "pattern": "^[A-Za-z0-9_-]*$(?!\\n)", "resource": "categories"},
      {"name": "price", "label": "Price", "kind": "number", "isEditable": true, "isRequired": false, "isNullable": false, "default": 0.0, "minimum": 0, "maximum": 1000000000000000.0},
      {"name": "currency", "label": "Currency", "kind": "text", "isEditable": true, "isRequired": false, "isNullable": false, "default": "", "hint": "The ISO 4217 code of a currency, such as EUR", "pattern": "^([A-Z]{3})?$(?!\\n)"},
      {"name": "tags", "label": "Tags", "kind": "list", "isEditable": true, "isRequired": false, "isNullable": false, "default": [], "maxItems": 64, "item": {"minLength": 1, "maxLength": 64, "pattern": "^[^\\x00-\\x1f]+$(?!\\n)"}},
      {"name": "attributes", "label": "Attributes", "kind": "list", "isEditable": true, "isRequired": false, "isNullable": false, "default": [], "maxItems": 64, "item": {"minLength": 1, "maxLength": 64, "pattern": "^[^\\x00-\\x1f]+$(?!\\n)"}},
      {"name": "available", "label": "Available", "kind": "boolean", "isEditable": true, "isRequired": false, "isNullable": false, "default": true},
      {"name": "position", "label": "Position", "kind": "integer", "isEditable": true, "isRequired": false, "isNullable": false, "default": 0, "minimum": -2147483648, "maximum": 2147483647},
    ],
  },
  roles: {
    name: "roles",
    label: "Roles",
    singular: "role",
    titleField: "name",
    writers: ["editor", "owner"],
    isDeletable: true,
    isJournalled: true,
    sortable: ["name"],
    searched: ["name"],
    fields: [
      {"name": "name", "label": "Name", "kind": "text", "isEditable": true, "isRequired": true, "isNullable": false, "default": null, "minLength": 1, "maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)"},
      {"name": "permissions", "label": "Permissions", "kind": "list", "isEditable": true, "isRequired": false, "isNullable": false, "default": [], "maxItems": 64, "item": {"minLength": 1, "maxLength": 64, "pattern": "^[^\\x00-\\x1f]+$(?!\\n)"}},
    ],
  },
  servers: {
    name: "servers",
    label: "Servers",
    singular: "server",
    titleField: "name",
    writers: ["editor", "owner"],
    isDeletable: false,
    isJournalled: true,
    sortable: ["name", "status", "last_seen", "position"],
    searched: ["name", "hostname"],
    fields: [
      {"name": "name", "label": "Name", "kind": "text", "isEditable": true, "isRequired": true, "isNullable": false, "default": null, "minLength": 1, "maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)"},
      {"name": "hostname", "label": "Hostname", "kind": "text", "isEditable": false, "isRequired": false, "isNullable": false, "default": "", "maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)"},
      {"name": "machine_id", "label": "Machine ID", "kind": "text", "isEditable": false, "isRequired": false, "isNullable": false, "default": "", "maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)"},
      {"name": "status", "label": "Status", "kind": "choice", "isEditable": false, "isRequired": false, "isNullable": false, "default": "unknown", "options": ["online", "offline", "unknown"]},
      {"name": "last_seen", "label": "Last seen", "kind": "time", "isEditable": false, "isRequired": false, "isNullable": true, "default": null},
      {"name": "tags", "label": "Tags", "kind": "list", "isEditable": true, "isRequired": false, "isNullable": false, "default": [], "maxItems": 64, "item": {"minLength": 1, "maxLength": 64, "pattern": "^[^\\x00-\\x1f]+$(?!\\n)"}},
      {"name": "groups", "label": "Groups", "kind": "list", "isEditable": true, "isRequired": false, "isNullable": false, "default": [], "maxItems": 64, "item": {"minLength": 1, "maxLength": 64, "pattern": "^[^\\x00-\\x1f]+$(?!\\n)"}},
      {"name": "notes", "label": "Notes", "kind": "long-text", "isEditable": true, "isRequired": false, "isNullable": false, "default": "", "maxLength": 10000, "pattern": "^[^\\x00]*$"},
      {"name": "hidden", "label": "Hidden", "kind": "boolean", "isEditable": true, "isRequired": false, "isNullable": false, "default": false},
      {"name": "position", "label": "Position", "kind": "integer", "isEditable": true, "isRequired": false, "isNullable": false, "default": 0, "minimum": -2147483648, "maximum": 2147483647},
      {"name": "os", "label": "OS", "kind": "object", "isEditable": false, "isRequired": false, "isNullable": false, "default": {"name": "", "version": "", "kernel": "", "arch": ""}},
      {"name": "agent_version", "label": "Agent version", "kind": "text", "isEditable": false, "isRequired": false, "isNullable": false, "default": "", "maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)"},
      {"name": "provider", "label": "Provider", "kind": "text", "isEditable": true, "isRequired": false, "isNullable": false, "default": "", "maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)"},
      {"name": "price", "label": "Price", "kind": "number", "isEditable": true, "isRequired": false, "isNullable": true, "default": null, "minimum": 0, "maximum": 1000000000000000.0},
      {"name": "currency", "label": "Currency", "kind": "text", "isEditable": true, "isRequired": false, "isNullable": false, "default": "", "hint": "The ISO 4217 code of a currency, such as EUR", "pattern": "^([A-Z]{3})?$(?!\\n)"},
      {"name": "billing_cycle", "label": "Billing cycle", "kind": "choice", "isEditable": true, "isRequired": false, "isNullable": false, "default": "", "options": ["", "monthly", "quarterly", "yearly", "once"]},
      {"name": "expires_at", "label": "Expires at", "kind": "time", "isEditable": true, "isRequired": false, "isNullable": true, "default": null},
      {"name": "traffic_limit_bytes", "label": "Traffic limit bytes", "kind": "integer", "isEditable": true, "isRequired": false, "isNullable": true, "default": null, "minimum": 0, "maximum": 9007199254740991},
    ],
  },
  tags: {
    name: "tags",
    label: "Tags",
    singular: "tag",
    titleField: "name",
    writers: ["editor", "owner"],
    isDeletable: true,
    isJournalled: true,
    sortable: ["name", "position"],
    searched: ["name"],
    fields: [
      {"name": "name", "label": "Name", "kind": "text", "isEditable": true, "isRequired": true, "isNullable": false, "default": null, "minLength": 1, "maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)"},
      {"name": "color", "label": "Color", "kind": "color", "isEditable": true, "isRequired": false, "isNullable": false, "default": "", "hint": "Red, green and blue, such as #2456c9", "pattern": "^(#[0-9a-f]{6})?$(?!\\n)"},
      {"name": "position", "label": "Position", "kind": "integer", "isEditable": true, "isRequired": false, "isNullable": false, "default": 0, "minimum": -2147483648, "maximum": 2147483647},
    ],
  },
  websites: {
    name: "websites",
    label: "Websites",
    singular: "website",
    titleField: "primary_domain",
    writers: ["editor", "owner"],
    isDeletable: true,
    isJournalled: true,
    sortable: ["primary_domain", "status"],
    searched: ["primary_domain", "cname", "line_group"],
    fields: [
      {"name": "primary_domain", "label": "Primary domain", "kind": "text", "isEditable": true, "isRequired": true, "isNullable": false, "default": null, "hint": "A domain in lower case, such as shop.example.org or *.example.org", "minLength": 1, "maxLength": 253, "pattern": "^((\\*\\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)?$(?!\\n)"},
      {"name": "domains", "label": "Domains", "kind": "list", "isEditable": true, "isRequired": false, "isNullable": false, "default": [], "hint": "A domain in lower case, such as shop.example.org or *.example.org", "maxItems": 100, "item": {"minLength": 1, "maxLength": 253, "pattern": "^((\\*\\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)?$(?!\\n)"}},
      {"name": "cname", "label": "CNAME", "kind": "text", "isEditable": true, "isRequired": false, "isNullable": false, "default": "", "hint": "A domain in lower case, such as shop.example.org or *.example.org", "maxLength": 253, "pattern": "^((\\*\\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)?$(?!\\n)"},
      {"name": "line_group_id", "label": "Line group ID", "kind": "text", "isEditable": true, "isRequired": false, "isNullable": false, "default": "", "maxLength": 64, "pattern": "^[A-Za-z0-9_-]*$(?!\\n)"},
      {"name": "line_group", "label": "Line group", "kind": "text", "isEditable": true, "isRequired": false, "isNullable": false, "default": "", "maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)"},
      {"name": "https_enabled", "label": "HTTPS enabled", "kind": "boolean", "isEditable": true, "isRequired": false, "isNullable": false, "default": true},
      {"name": "status", "label": "Status", "kind": "text", "isEditable": true, "isRequired": false, "isNullable": false, "default": "active", "hint": "A word in lower case, such as active", "maxLength": 32, "pattern": "^[a-z][a-z_]*$(?!\\n)"},
    ],
  },
  zones: {
    name: "zones",
    label: "Zones",
    singular: "zone",
    titleField: "name",
    writers: ["editor", "owner"],
    isDeletable: true,
    isJournalled: true,
    sortable: ["name", "position"],
    searched: ["name"],
    fields: [
      {"name": "name", "label": "Name", "kind": "text", "isEditable": true, "isRequired": true, "isNullable": false, "default": null, "minLength": 1, "maxLength": 200, "pattern": "^[^\\x00-\\x1f]*$(?!\\n)"},
      {"name": "color", "label": "Color", "kind": "color", "isEditable": true, "isRequired": false, "isNullable": false, "default": "", "hint": "Red, green and blue, such as #2456c9", "pattern": "^(#[0-9a-f]{6})?$(?!\\n)"},
      {"name": "position", "label": "Position", "kind": "integer", "isEditable": true, "isRequired": false, "isNullable": false, "default": 0, "minimum": -2147483648, "maximum": 2147483647},
    ],
  },
};
