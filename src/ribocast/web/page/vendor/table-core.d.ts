declare global {
  var TableCore: typeof import("@tanstack/table-core");
}
export {};
