(decorator (identifier) @name) @reference.call
(decorator (attribute attribute: (identifier) @name)) @reference.call
(class_definition superclasses: (argument_list (identifier) @name)) @reference.superclass
(class_definition
  superclasses: (argument_list (attribute attribute: (identifier) @name))) @reference.superclass
(class_definition
  body: (block (expression_statement (assignment left: (identifier) @name) @definition.constant)))
